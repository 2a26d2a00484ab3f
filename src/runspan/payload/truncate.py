"""Texts that are cut, with a note of how much went. A redactor sees a text before it is cut, as far as it can be.

What is redacted once more, since another handler joins, or was cut where no redactor was at hand, may end in the middle
of a secret that a redactor knows as a whole alone: of that the end goes, too.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from runspan.payload.redacting import Redact
from runspan.payload.text import CUT, clean, with_note

# Beyond what is kept of a text so many characters are redacted, too: a secret that ends there must not be cut in two.
_MARGIN: Final = 2_000
_NOTE: Final = re.compile(rf"{CUT} \[([\d,]+) characters left out\]\Z")
_LONGEST_NOTE: Final = 60


def fitted(text: str, room: int, redact: Redact | None = None, size: Callable[[str], int] = len) -> str:
    """Return a text, or its beginning and a note of how much was left out; at most so many bytes.

    Args:
        text: any text, which is cleaned.
        room: in bytes.
        redact: is called with what is kept and a margin.
        size: returns the bytes that a text takes.
    """
    window = clean(text[: room + _MARGIN])
    kept = redact(window) if redact is not None else window
    is_whole = len(text) <= room + _MARGIN
    if is_whole and size(kept) <= room:
        return kept
    note = with_note("", len(text))
    if size(note) > room:
        return CUT if size(CUT) <= room else ""
    # What is redacted may be shorter, so the margin may come into what is kept, a secret cut in two at its end.
    kept = (kept if is_whole else kept[:-_MARGIN])[:room]
    if (excess := size(kept + note) - room) > 0:
        # Each character takes a byte at the least, so no more than the excess has to be looked at.
        end, nothing = kept[-excess:], size("")
        kept = kept[: -bisect_left(range(len(end)), excess, key=lambda left: size(end[len(end) - left :]) - nothing)]
    return with_note(kept, len(text) - len(kept))


def ending(text: str, most: int, redact: Redact | None) -> str:
    """Return the last characters of a text, redacted with a margin before them."""
    window = clean(text[-most - _MARGIN :])
    kept = redact(window) if redact is not None else window
    return kept if len(text) <= most else kept[_MARGIN:][-most:]


def redacted_after_cut(text: str, redact: Redact) -> str:
    """Return a text redacted; one that was cut before loses as much more as a secret cut in two may take."""
    found = note_in(text)
    if found is None:
        return redact(text)
    kept = redact(text[: found.start()])[:-_MARGIN]
    return with_note(kept, found.start() - len(kept) + int(found[1].replace(",", "")))


def note_in(text: str) -> re.Match[str] | None:
    """Return the note at the end of a text that was cut, with the number of characters as a group."""
    return _NOTE.search(text, max(0, len(text) - _LONGEST_NOTE))
