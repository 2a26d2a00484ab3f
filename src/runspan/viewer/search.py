"""Whether a text stands in a line of the store."""

import json
from functools import lru_cache
from typing import Final

_LEVELS: Final = 3  # a line is JSON, an attribute in it may be, and what a tool was given within that


def has_text(line: bytes, text: str) -> bool:
    """Return whether a text stands in a line of JSON, in any case, also within JSON in its texts."""
    forms = _forms(text)
    if text.isascii():
        lower = line.lower()
        return any(form.encode() in lower for form in forms)
    folded = line.decode("utf-8", "replace").casefold()
    return any(form in folded for form in forms)


@lru_cache(16)
def _forms(text: str) -> tuple[str, ...]:
    """Return a text as JSON writes it at each level; what is written as ASCII is so in texts, not in the line."""
    written, within, forms = text, json.dumps(text)[1:-1], []
    for _ in range(_LEVELS):
        written, within = _escaped(written), _escaped(within)
        forms += [written, within]
    return tuple(dict.fromkeys(form.casefold() for form in forms))


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
