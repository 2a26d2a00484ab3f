"""What built-in collections hold, read by the built-in types' own code: that of a subclass may be endless."""

from collections import deque
from itertools import islice
from typing import Any, Final

_COLLECTIONS: Final = (list, tuple, set, frozenset, deque)


def stored_items(value: Any, most: int | None = None) -> list[Any] | None:
    """Return the first items of a list, tuple, set or deque, also of a subclass; None for any other value."""
    kind, items = type(value), value
    if kind is list or kind is tuple:  # as nearly all are
        return list(items if most is None else islice(items, most))
    if value is None:
        return None
    for each in _COLLECTIONS:
        if issubclass(kind, each):
            items = each.__iter__(value)
            return list(items if most is None else islice(items, most))
    return None


def stored_pairs(value: object, most: int | None = None) -> list[tuple[Any, Any]] | None:
    """Return the first keys and values of a dictionary, also of a subclass; None for any other value."""
    if not issubclass(type(value), dict):
        return None
    pairs: Any = dict.items(value)  # type: ignore[arg-type]  # the same
    return list(pairs if most is None else islice(pairs, most))


def stored_dict(value: Any, most: int) -> dict[Any, Any]:
    """Return a dictionary of at most so many keys as it is, of any other one a copy, empty for any other value."""
    if type(value) is dict and len(value) <= most:
        return value
    return dict(stored_pairs(value, most) or ())


def stored_length(value: Any) -> int | None:
    """Return how many items or keys a list, tuple, set, deque or dictionary has, also a subclass; None otherwise."""
    kind = type(value)
    if kind is list or kind is dict or kind is tuple:  # as nearly all are
        return len(value)
    for each in (dict, *_COLLECTIONS):
        if issubclass(kind, each):
            return each.__len__(value)
    return None
