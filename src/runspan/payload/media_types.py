"""Which format bytes are of, by how they begin."""

import base64
from typing import Final

HEAD_BYTES: Final = 18  # as many as the formats differ in, and of base64 24 characters

_BEGINNINGS: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"%PDF-": "application/pdf",
    b"PK\x03\x04": "application/zip",
    b"\x1f\x8b\x08": "application/gzip",
    b"ID3": "audio/mpeg",
    b"\xff\xfb": "audio/mpeg",
    b"\xff\xf3": "audio/mpeg",
    b"\xff\xf2": "audio/mpeg",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
    b"\x1a\x45\xdf\xa3": "video/webm",
}
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS: Final = {
    b"avif": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"qt  ": "video/quicktime",
}

FIRST_CHARACTERS: Final = frozenset(
    base64.b64encode(beginning[:2] + b"\x00").decode()[:2] for beginning in (*_BEGINNINGS, b"BM", b"RIFF", b"\x00\x00")
)
"""The first two characters in base64 of all formats that are known here."""

FIRST_OF_REPRS: Final = frozenset(
    repr(beginning)[2:-1] for beginning in (*_BEGINNINGS, b"BM", b"RIFF", b"\x00\x00\x00")
)
"""How the repr of bytes of these formats begins, without the quotation mark."""


def media_type(head: bytes) -> str | None:
    """Return the media type of what begins with some bytes, None if that is not known."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[:3] == b"\x00\x00\x00" and head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "image/bmp"
    return next((kind for beginning, kind in _BEGINNINGS.items() if head.startswith(beginning)), None)
