"""Dictionaries that are JSON as they are, as most are: a few texts and numbers, none of them a medium.

Such as the arguments of a tool, and a call of it, which has them in a dictionary within it.
"""

from typing import Any, Final

from runspan.attributes import is_int64
from runspan.payload.blobs import DATA_KEYS, SHORTEST_BLOB, may_hold_blobs

_MOST_KEYS: Final = 20


def flat_copy(value: dict[Any, Any], longest: int, levels: int = 1) -> dict[str, object] | None:
    """Return a copy of such a dictionary; None of any other.

    Args:
        value: the dictionary.
        longest: the characters of its longest text.
        levels: how many dictionaries may be within each other in it. Few: where one is no such, all that was looked at
            is looked at again.
    """
    if len(value) > _MOST_KEYS:
        return None
    copy = value.copy()
    for key, each in copy.items():
        if type(key) is not str or len(key) >= SHORTEST_BLOB or not key.isascii() or key in DATA_KEYS:
            return None
        if type(each) is dict and levels:
            nested = flat_copy(each, longest, levels - 1)
            if nested is None:
                return None
            copy[key] = nested
        elif not _is_plain(each, longest):
            return None
    return copy


def _is_plain(value: object, longest: int) -> bool:
    if type(value) is str:
        return len(value) <= longest and value.isascii() and not may_hold_blobs(value)
    kind = type(value)
    return value is None or kind is bool or kind is float or is_int64(value)
