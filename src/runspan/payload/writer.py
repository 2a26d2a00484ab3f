"""Writes the content of runs as attributes: JSON and text within budgets of bytes, redacted."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import orjson

from runspan.attributes import Attributes, PlainAttributes, is_content
from runspan.payload.redacting import Redact, beside_key, redacted_by
from runspan.payload.serialize import DEFAULT_ROOM, json_bytes, to_json, without_media
from runspan.payload.text import LONGEST_DESCRIPTION, is_text
from runspan.payload.truncate import ending, fitted, redacted_after_cut
from runspan.semconv import EXCEPTION_MESSAGE, METADATA, PROMPT_VARIABLE
from runspan.settings import Redactor

# A text that is JSON stays JSON if it is cut, unless it is longer than so many times what is kept.
_MOST_TO_PARSE: Final = 8
_LEAST_JSON: Final = 2  # bytes
_EMPTY: Final = b'""'  # a text without letters, or what there was no room for
# Keys and values that the conventions and LangChain prescribe; no redactor gets them.
_PRESCRIBED: Final = frozenset(
    (
        "role",
        "parts",
        "type",
        "content",
        "name",
        "id",
        "arguments",
        "response",
        "finish_reason",
        "user",
        "assistant",
        "system",
        "tool",
        "text",
        "reasoning",
        "tool_call",
        "tool_call_response",
        "server_tool_call",
        "server_tool_call_response",
        "blob",
        "uri",
        "file",
        "file_id",
        "modality",
        "mime_type",
        "image",
        "audio",
        "video",
        "document",
        "metadata",
        "score",
        "truncated",
        "left_out",
        "unknown",
        "value",
        "human",
        "ai",
        "messages",
        "tool_calls",
        "tool_call_id",
        "args",
    )
)


class Writer:
    """Writes attributes, each within its limit; one derived from it has a budget for all of them.

    Args:
        attribute_bytes: the most that an attribute takes.
        redactors: are called with each text, one after the other. Where one fails the text is withheld.
    """

    __slots__ = ("attribute_bytes", "redactors")

    def __init__(self, attribute_bytes: int = DEFAULT_ROOM, redactors: Sequence[Redactor] = ()) -> None:
        self.attribute_bytes = attribute_bytes
        self.redactors = redactors

    def room(self) -> int:
        """Return how many bytes one attribute may take now."""
        return self.attribute_bytes

    def take(self, size: int) -> None:
        """Note that so many bytes were written."""

    def json(self, name: str, value: object) -> PlainAttributes:
        """Return a value of any kind as JSON under a name; nothing if there is no room."""
        room = self.room()
        if room < _LEAST_JSON:
            return {}
        written = json_bytes(value, room, self._redact(name) if self.redactors else None)
        self.take(len(written))
        return {name: written.decode()} if written != _EMPTY else {}

    def json_text(self, name: str, text: str, parsed: object) -> PlainAttributes:
        """Return a text that is JSON under a name, digit for digit unless it has to be cut or redacted."""
        text = without_media(text)
        if self.redactors or _size(text) > self.room():
            return self.json(name, parsed)
        return self._spend(name, text)

    def again(self, name: str, text: str) -> PlainAttributes:
        """Return a text, or JSON, that was written under another name."""
        room, size = self.room(), _size(text)
        if size <= room:
            return self._spend(name, text, size)
        if (parsed := _json_in(text, len(text))) is not None:  # it was cut to what an attribute may take
            return self._spend(name, to_json(parsed, room) if room >= _LEAST_JSON else "")
        return self._spend(name, fitted(text, room, size=_size))

    def message(self, text: str) -> PlainAttributes:
        """Return the text of an error, cut where it is longer than messages are."""
        name = EXCEPTION_MESSAGE
        return self._spend(name, fitted(text, min(self.room(), LONGEST_DESCRIPTION), self._redact(name), _size))

    def end_of_text(self, name: str, text: str, most: int) -> PlainAttributes:
        """Return the last characters of a text under a name."""
        return self._spend(name, fitted(ending(text, most, self._redact(name)), self.room(), size=_size))

    def text(self, name: str, value: object) -> PlainAttributes:
        """Return a text as it is under a name, anything else as JSON; nothing if there is no room for any of it."""
        if not is_text(value):
            return self.json(name, value)
        value = without_media(value)
        if self.redactors and name.startswith(PROMPT_VARIABLE):
            value = beside_key(name.removeprefix(PROMPT_VARIABLE), value, partial(self._redacted, name=name))
        room = self.room()
        if len(value) <= room and value.isascii() and not self.redactors:  # as nearly all are
            return self._spend(name, value, len(value))
        if len(value) > room and (parsed := _json_in(value, room)) is not None:
            return self.json(name, parsed)
        return self._spend(name, fitted(value, room, self._redact(name), _size))

    def redacted(self, attributes: Attributes) -> Attributes:
        """Return attributes that were written before, as the redactors leave the texts in them."""
        if not self.redactors:
            return attributes
        return {name: self._redact_value(name, value) for name, value in attributes.items()}

    def _redact_value(self, name: str, value: Any) -> Any:
        if not is_content(name) and not name.startswith(METADATA):
            return value
        redact = partial(redacted_after_cut, redact=partial(self._redacted, name=name))
        parsed = _json_in(value, DEFAULT_ROOM) if is_text(value) else None
        if parsed is not None:
            return to_json(parsed, redact=redact)
        if is_text(value):
            return redact(value)
        return orjson.loads(to_json(value, redact=redact))

    def _spend(self, name: str, text: str, size: int | None = None) -> PlainAttributes:
        self.take(_size(text) if size is None else size)
        return {name: text} if text else {}

    def _redact(self, name: str) -> Redact | None:
        return partial(self._redacted, name=name) if self.redactors else None

    def _redacted(self, text: str, name: str) -> str:
        if text in _PRESCRIBED:
            return text
        for redactor in self.redactors:
            text = redacted_by(redactor, text, name)
        return text


UNLIMITED: Final = Writer()
"""Writes all, up to some megabytes for each attribute."""


def _json_in(text: str, room: int) -> object:
    """Return the list or dictionary that a text is as JSON, None if it is none, or too long to find out."""
    if len(text) > _MOST_TO_PARSE * room or not text[:20].lstrip().startswith(("{", "[")):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
