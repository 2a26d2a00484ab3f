"""Notes of what was left out of JSON, and the texts in it that are cut."""

from typing import Final

import orjson

from runspan.payload.redacting import Redact
from runspan.payload.text import CUT
from runspan.payload.truncate import fitted, note_in

_LETTER: Final = CUT.encode()
_IN_ASCII: Final = rb"\u2026"
_ESCAPED: Final = len(_IN_ASCII) - len(_LETTER)


class CutText:
    """A text that is too long for its share; it gets more in the end, if something is left over."""

    def __init__(self, text: str, room: int) -> None:
        self.text = text
        self.room = room
        self._written = b'""'

    def fit(self, room: int, redact: Redact | None) -> int:
        """Write what there is room for, and return the bytes that this takes."""
        kept = fitted(self.text, room, redact, _size)
        note = note_in(kept)
        if note is None:
            self._written = orjson.dumps(kept)
            return len(self._written) + _ESCAPED
        self._written = orjson.dumps(kept[: note.start()])[:-1] + in_ascii(note.group())[1:]
        return len(self._written)

    def shown(self) -> orjson.Fragment:
        """Return what is kept as it is written."""
        return orjson.Fragment(self._written)


def left_out(count: int, what: str = "items") -> str:
    """Return the note of how many of a list or a dictionary were left out."""
    return f"{CUT} [{count:,} {what} left out]"


def in_ascii(note: object) -> bytes:
    """Return a note as JSON without the letter beyond ASCII in it.

    For that one letter Python keeps all that is written, tens of kilobytes, at two bytes a letter, and takes 21
    microseconds to decode 57 KB of it and 31 to encode them for export; without it three and one.
    """
    return orjson.dumps(note).replace(_LETTER, _IN_ASCII)


def _size(text: str) -> int:
    """Return the bytes of a text in JSON with a note at its end."""
    return len(orjson.dumps(text)) + _ESCAPED
