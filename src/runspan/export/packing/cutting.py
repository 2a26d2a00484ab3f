"""Texts cut so that they stay what they are: whole characters, valid JSON, and a note of what is left out."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

import orjson

# A text of so many bytes is never cut: names, ids and roles stay, and a note would take as much.
SHORT: Final = 96
_EARLIER: Final = re.compile(r"… \[(\d[\d,]*) characters left out\]\Z")
_LONGEST_ESCAPE: Final = len(r"\u0000")


class Form(NamedTuple):
    """How texts are written.

    Args:
        encode: Returns the bytes of a text.
        decode: Returns the text that stands in the beginning of such bytes, wherever they are cut off.
        widest: How many bytes a character takes at most.
    """

    encode: Callable[[str], bytes]
    decode: Callable[[bytes], str]
    widest: int

    def size(self, text: str) -> int:
        """Return what a text takes, in bytes."""
        return len(self.encode(text))

    def cut(self, text: str, room: int) -> str:
        """Return the beginning of a text and a note of what is left out; the note alone, if no more fits."""
        text, left_out = _without_note(text)
        kept = self.decode(self.encode(text)[: max(0, room - _NOTE_SIZE)])
        return kept + _note(left_out + len(text) - len(kept))


def _utf8_beginning(raw: bytes) -> str:
    return raw.decode(errors="ignore")


def _in_json(text: str) -> bytes:
    return orjson.dumps(text)[1:-1]


def _json_beginning(raw: bytes) -> str:
    for end in range(len(raw), max(0, len(raw) - _LONGEST_ESCAPE), -1):
        try:
            text: str = orjson.loads(b'"' + raw[:end] + b'"')
        except orjson.JSONDecodeError:  # it ends within a character or an escape
            continue
        return text
    return ""


def _note(characters: int) -> str:
    return f"… [{characters:,} characters left out]"


def _without_note(text: str) -> tuple[str, int]:
    """Return a text that was cut before without its note, and how many characters that told."""
    if earlier := _EARLIER.search(text, max(0, len(text) - _NOTE_SIZE)):
        return text[: earlier.start()], int(earlier[1].replace(",", ""))
    return text, 0


_NOTE_SIZE: Final = len(_note(10**12).encode())
PLAIN: Final = Form(str.encode, _utf8_beginning, widest=4)
JSON: Final = Form(_in_json, _json_beginning, widest=_LONGEST_ESCAPE)
