"""Images, audio, video and files in messages: providers give them in many shapes, the conventions in three."""

import base64
from typing import Any, Final

from runspan.payload.text import text_at

_Block = dict[str, Any]

MODALITIES: Final = {
    "audio": "audio",
    "document": "document",
    "file": "document",
    "image": "image",
    "image_url": "image",
    "input_audio": "audio",
    "input_file": "document",
    "input_image": "image",
    "media": "document",
    "text-plain": "document",
    "video": "video",
}


def media_part(block: _Block) -> _Block:
    """Return a content block as a ``file``, ``uri`` or ``blob`` part, or as it is where its shape is a new one."""
    place = _place(block)
    mime_type = text_at(place, "mime_type", "media_type") or text_at(block, "mime_type")
    if place.get("type") == "text":  # Anthropic's document of plain text
        return block
    if file_id := text_at(place, "file_id") or (place.get("source_type") == "id" and text_at(place, "id")):
        return _part("file", block, mime_type, file_id=file_id)
    data = place.get("data") or place.get("base64") or place.get("bytes")
    if isinstance(data, bytes):
        data = base64.b64encode(data).decode()
    url = text_at(place, "url", "file_data", "file_uri", "file_url", "image_url") or ""
    if isinstance(data, str) and data.startswith("data:"):
        url = data
    if url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        mime_type, _, encoding = head.partition(";")
        if not encoding.endswith("base64"):
            return block
    elif url:
        return _part("uri", block, mime_type, uri=url)
    if not isinstance(data, str) or not data:
        return block
    return _part("blob", block, mime_type or _type_of_format(place, block), content=data)


def _place(block: _Block) -> _Block:
    """Return the dictionary that says where the data is: under ``source``, under the block's type, or the block."""
    place = block.get("source") or block.get(block["type"])
    if isinstance(place, str):
        return {"url": place}
    if not isinstance(place, dict):
        return block
    # Bedrock has a source below the type, and a format for a MIME type.
    inner = place.get("source")
    return {"format": place.get("format"), **inner} if isinstance(inner, dict) else place


def _part(kind: str, block: _Block, mime_type: str | None, **fields: object) -> _Block:
    family = (mime_type or "").partition("/")[0]
    modality = family if family in ("image", "audio", "video") else MODALITIES[block["type"]]
    part = {"type": kind, "modality": modality, **fields}
    if mime_type:
        part["mime_type"] = mime_type
    return part


def _type_of_format(place: _Block, block: _Block) -> str | None:
    """Return the MIME type of a format: ``wav`` of OpenAI's audio; ``png``, ``pdf``, ``mp4`` of what Bedrock takes."""
    name = text_at(place, "format")
    family = MODALITIES[block["type"]]
    if family == "document":
        return _DOCUMENT_TYPES.get(name or "")
    return f"{family}/{name}" if name else None


_DOCUMENT_TYPES: Final = {
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "txt": "text/plain",
}
