"""Images, audio, video and files in base64, anywhere in what is recorded: they are referred to, not recorded.

What is meant: the data of a media block, data URLs, and texts and bytes that begin as a known format does, also within
JSON and what Python's ``repr`` makes of them. To look for them costs little: the first characters of a text, and a few
marks in it, say whether it may hold some.
"""

import ast
import binascii
import functools
import hashlib
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from runspan.payload.media_types import FIRST_CHARACTERS, FIRST_OF_REPRS, HEAD_BYTES, media_type
from runspan.payload.text import text_in

SHORTEST_BLOB: Final = 40  # characters; the smallest GIF takes 48
DATA_KEYS: Final = frozenset(("base64", "blob", "bytes", "data"))
"""Where dictionaries that say their media type have the data: LangChain's and providers' blocks, MCP's resources."""
_TYPE_KEYS: Final = ("mime_type", "mimeType", "mimetype", "media_type", "format")
SEARCHED: Final = 1_000_000
"""Of a text so many characters are looked at."""
_LONGEST_LINE: Final = 100  # of base64 in lines there are 76 in each
_SAMPLE: Final = 500  # characters at both ends that have to be base64
_REMEMBERED_DIGESTS: Final = 1_000
_MOST_OF_HEAD: Final = HEAD_BYTES * 4 // 3  # characters of base64
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\r\n-]*={0,2}\s*")
# Patterns are compiled when a text is found that may hold such a thing: most processes never meet one.
# Base64 may be in lines, within JSON as well, which also may have a backslash before each slash.
_LINE_END: Final = r"(?:\r\n?|\n|\\+(?:r\\+)?[nr])"
_HEAD: Final = r"(?ai)data:([\w.+-]{1,100}\\*/[\w.+-]{1,100})?(?:;[^;,\s]{1,100}){0,5};base64,"
_OF_URL: Final = r"(?:[A-Za-z0-9+/_%-]|\\+/)"
_NEXT_LINES: Final = rf"(?:{_LINE_END}[ \t]*+{_OF_URL}{{{SHORTEST_BLOB},}}+)*+"
# The last one may be short, after others of usual length and if it ends with padding or nothing else is in it.
_LAST_LINE: Final = rf"""(?:{_LINE_END}[ \t]*+{_OF_URL}++(?==|[ \t]*+(?:[\\"'`<)\r\n]|\Z)))?+"""
_FIRST_LINE: Final = rf"{_OF_URL}{{0,{_LONGEST_LINE}}}+(?={_LINE_END})"
_DATA_URL: Final = _HEAD + rf"(?:{_FIRST_LINE}{_NEXT_LINES}{_LAST_LINE}|{_OF_URL}*+{_NEXT_LINES})=*+"
# A value within a text that is JSON, in which it may be a text of JSON again, or that is a repr.
_QUOTED_HEAD: Final = rf"""["'](?:{"|".join(map(re.escape, sorted(FIRST_CHARACTERS)))})"""
_ESCAPED_LINE_END: Final = r"\\+[nr]"
_QUOTED: Final = rf"""["'](?:[A-Za-z0-9+/_-]++|\\+/|{_ESCAPED_LINE_END})*+=*+(?:{_ESCAPED_LINE_END})*+(?=\\*["'])"""
# Bytes within a repr, of which ``ast.literal_eval`` can read all that this allows.
_BYTES_HEAD: Final = rf"""b["'](?:{"|".join(map(re.escape, sorted(FIRST_OF_REPRS)))})"""
_ESCAPE: Final = r"\\(?:x[0-9a-f]{2}|[nrt'\\])"
_BYTES: Final = rf"""b'(?:[ -&(-\[\]-~]|{_ESCAPE})*+'|b"(?:[ !#-\[\]-~]|{_ESCAPE})*+\""""
_compiled = functools.cache(re.compile)
_JSON: Final = "{[("
BEGINNINGS: Final = frozenset(_JSON).union(each[0] for each in FIRST_CHARACTERS)
"""The first characters of texts that may be a medium, or JSON."""

BlobKey: TypeAlias = tuple[type, int, int]

_digests: dict[BlobKey, str] = {}


class Blob:
    """Data of a medium.

    Args:
        source: the data in base64, or the bytes.
        mime_type: the media type, if it is known; else it is read from the data.
        begin: where in a text the data begin. They are copied when they are needed: that takes a millisecond for each
            megabyte, as the system has to provide the memory anew, and a digest that is known needs no copy.
    """

    def __init__(self, source: str | bytes, mime_type: str | None = None, begin: int = 0) -> None:
        self._source = source
        self._begin = begin
        self.mime_type = mime_type or media_type(_head_of(source[begin : begin + _MOST_OF_HEAD]))

    def __len__(self) -> int:
        """Return the length of the data as they are given."""
        return len(self._source) - self._begin

    @property
    def data(self) -> str | bytes:
        """The data in base64, or the bytes."""
        return self._source[self._begin :]

    @property
    def key(self) -> BlobKey:
        """What the data are known by, however they are given."""
        return _key(self.data)

    @property
    def size(self) -> int:
        """How many bytes it is."""
        source, begin = self._source, self._begin
        if isinstance(source, bytes):
            return len(self)
        length = len(self) - source[-4:].count("=")
        if "\n" in source[begin : begin + _LONGEST_LINE]:
            length -= source.count("\n") + source.count("\r")
        return length * 3 // 4

    def decoded(self) -> bytes:
        """Return the bytes; those of the text if it can't be decoded."""
        data = self.data
        if isinstance(data, bytes):
            return data
        try:
            return _decode(data)
        except ValueError:
            return data.encode(errors="replace")

    def digest(self) -> str:
        """Return the SHA-256 of the bytes, in hex. Computed once: a conversation comes again with each call."""
        key = _key(self._source)
        digest = _digests.get(key)
        if digest is None:
            if len(_digests) >= _REMEMBERED_DIGESTS:
                _digests.clear()
            digest = _digests[key] = hashlib.sha256(self.decoded()).hexdigest()
        return digest

    def reference(self) -> str:
        """Return the URI where it is stored; ``sha256:`` and its digest if it is not."""
        store = STORE.get()
        uri = store(self) if store is not None else None
        return uri if uri is not None else f"sha256:{self.digest()}"

    def in_words(self) -> str:
        """Return what stands for it in a text: its URI, or its media type, size and digest."""
        reference = self.reference()
        if not reference.startswith("sha256:"):
            return reference
        return f"<{self.mime_type or 'blob'}, {self.size} bytes, {reference}>"


STORE: Final[ContextVar[Callable[[Blob], str | None] | None]] = ContextVar("runspan_blob_store", default=None)
"""Stores a blob and returns its URI, None if it can't; it is set while content is read for a handler that has one."""


def may_hold_blobs(text: str) -> bool:
    """Return False if there is certainly no medium in a text; so it is with almost all texts."""
    return may_be_near_blobs(text) and _holds_head(text)


def may_be_near_blobs(text: str) -> bool:
    """Return the same, or True, in a tenth of the time: of texts together as well, with what is before the first."""
    if len(text) < SHORTEST_BLOB:
        return False
    if text[0] in BEGINNINGS and (text[:2] in FIRST_CHARACTERS or text[0] in _JSON):
        return True
    # To look for one character that is rare costs a tenth of the rest.
    return (
        (";" in text and _may_hold_url(text))
        or ("\\" in text and _may_hold_bytes(text))
        or ("=" in text and _may_be_repr(text))
    )


def _holds_head(text: str) -> bool:
    """Return whether anything in a text begins as what ``without_blobs`` looks for."""
    return (
        text[:2] in FIRST_CHARACTERS
        or (_may_hold_url(text) and _is_found(_HEAD, text))
        or (_may_hold_bytes(text) and _is_found(_BYTES_HEAD, text))
        or ((text[0] in _JSON or _may_be_repr(text)) and _is_found(_QUOTED_HEAD, text))
    )


def _is_found(head: str, text: str) -> bool:
    return _compiled(head).search(text, 0, SEARCHED) is not None


def without_blobs(text: str) -> str:
    """Return a text that may hold media with references in place of them."""
    if (blob := blob_of(text)) is not None:
        return blob.in_words()
    if _may_hold_url(text):
        text = _replace(_HEAD, _DATA_URL, text, _of_data_url)
    if _may_hold_bytes(text):
        text = _replace(_BYTES_HEAD, _BYTES, text, _of_repr)
    if text[0] in _JSON or _may_be_repr(text):
        text = _replace(_QUOTED_HEAD, _QUOTED, text, _of_value)
    return text


def _may_hold_url(text: str) -> bool:
    return text.find("64,", 0, SEARCHED) >= 0


def _may_hold_bytes(text: str) -> bool:
    return text.find("\\x", 0, SEARCHED) >= 0


def _may_be_repr(text: str) -> bool:
    """Return whether it may be what ``repr`` makes of an object with a text in it."""
    return text.find("='", 0, SEARCHED) >= 0


def blob_of(data: str | bytes) -> Blob | None:
    """Return a text or bytes that are a medium as a whole, else None."""
    if isinstance(data, bytes):
        return Blob(data) if media_type(data[:HEAD_BYTES]) else None
    if is_data_url(data):
        return data_url(data)
    if data[:2] not in FIRST_CHARACTERS or media_type(_head_of(data)) is None or not is_base64(data):
        return None
    return Blob(data)


def blob_field(data: str | bytes, holder: Iterable[tuple[Any, Any]]) -> Blob | None:
    """Return what stands under one of ``DATA_KEYS`` as a blob, if the dictionary around it says of which type it is."""
    types = {key: value for key, value in holder if type(key) is str and key in _TYPE_KEYS}
    if not types or not (isinstance(data, bytes) or is_base64(data)):
        return None
    named = text_in(next(iter(types.values())))
    return Blob(data, named if named is not None and "/" in named else None)


def is_base64(text: str, begin: int = 0) -> bool:
    """Return whether a text looks like base64 at both ends, from a character on."""
    if _BASE64.fullmatch(text, begin, begin + _SAMPLE) is None:
        return False
    return _BASE64.fullmatch(text, max(begin, len(text) - _SAMPLE)) is not None


def is_data_url(text: str) -> bool:
    """Return whether a text begins as a data URL does, in any case of letters."""
    return text[:5].lower() == "data:"


def data_url(url: str) -> Blob | None:
    """Return a data URL in base64 as a blob, None if it is none."""
    head = _compiled(_HEAD).match(url)
    if head is None:
        return None
    source, begin = (unquote(url[head.end() :]), 0) if "%" in url else (url, head.end())
    if not is_base64(source, begin):
        return None
    return Blob(source, head.group(1).lower() if head.group(1) else None, begin)


def _of_data_url(url: str) -> str | None:
    """Return what stands for a data URL within a text."""
    if "\\" in url or "\n" in url or "\r" in url:
        url = _compiled(rf"{_LINE_END}[ \t]*|\\+").sub("", url)
    blob = data_url(url)
    return blob.in_words() if blob is not None and len(blob) >= SHORTEST_BLOB else None


def _of_repr(literal: str) -> str | None:
    """Return what stands for bytes that are a medium, given what ``repr`` makes of them."""
    blob = blob_of(ast.literal_eval(literal)) if len(literal) >= SHORTEST_BLOB else None
    return blob.in_words() if blob is not None else None


def _of_value(quoted: str) -> str | None:
    """Return what stands for a value in JSON, or in a repr, given with the quotation mark before it."""
    data = _compiled(_ESCAPED_LINE_END).sub("\n", quoted[1:]).replace("\\", "")
    blob = blob_of(data) if len(data) >= SHORTEST_BLOB else None
    return quoted[0] + blob.in_words() if blob is not None else None


def _replace(head: str, whole: str, text: str, read: Callable[[str], str | None]) -> str:
    """Return a text with references in place of what is a medium.

    Args:
        head: how such a thing begins; it is searched for in the first million characters, media not counted.
        whole: all of it, however long.
        text: any text.
        read: returns what stands for it, None if it is no medium.
    """
    parts: list[str] = []
    copied = at = 0
    until = SEARCHED
    while (begin := _compiled(head).search(text, at, until)) is not None:
        found = _compiled(whole).match(text, begin.start())
        at = found.end() if found is not None else begin.end()
        if found is not None and (words := read(found.group())) is not None:
            parts += (text[copied : found.start()], words)
            copied = at
            until += len(found.group())
    return "".join((*parts, text[copied:])) if parts else text


def _key(source: str | bytes) -> BlobKey:
    """Return what data are known by; a text has its hash once it was computed."""
    return type(source), hash(source), len(source)  # a text and bytes may have the same hash


def _head_of(data: str | bytes) -> bytes:
    if isinstance(data, bytes):
        return data[:HEAD_BYTES]
    try:
        return _decode(data[:_MOST_OF_HEAD])
    except ValueError:
        return b""


def _decode(data: str) -> bytes:
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
    return binascii.a2b_base64(data + "=" * (-len(data) % 4))
