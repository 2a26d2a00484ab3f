"""Dictionaries that are JSON as they are, as most are: a few texts and numbers, none of them a medium."""

from typing import Any, Final

from runspan.attributes import is_int64
from runspan.payload.blobs import DATA_KEYS, SHORTEST_BLOB, may_hold_blobs

_MOST_KEYS: Final = 20


def flat_copy(value: dict[Any, Any], longest: int) -> dict[str, object] | None:
    """Return a copy of such a dictionary, of no text longer than so many characters; None of any other."""
    if len(value) > _MOST_KEYS:
        return None
    copy = value.copy()
    for key, each in copy.items():
        if type(key) is not str or len(key) >= SHORTEST_BLOB or not key.isascii() or key in DATA_KEYS:
            return None
        if not _is_plain(each, longest):
            return None
    return copy


def _is_plain(value: object, longest: int) -> bool:
    if type(value) is str:
        return len(value) <= longest and value.isascii() and not may_hold_blobs(value)
    kind = type(value)
    return value is None or kind is bool or kind is float or is_int64(value)
