"""What built-in collections hold, read by the built-in types' own code: that of a subclass may be endless."""

from collections import deque
from itertools import islice
from typing import Any, Final

_COLLECTIONS: Final = (list, tuple, set, frozenset, deque)


def stored_items(value: object, most: int | None = None) -> list[Any] | None:
    """Return the first items of a list, tuple, set or deque, also of a subclass; None for any other value."""
    kind = type(value)
    own = next((each for each in _COLLECTIONS if kind is each or issubclass(kind, each)), None)
    return None if own is None else list(islice(own.__iter__(value), most))  # type: ignore[arg-type]  # it is of that kind


def stored_pairs(value: object, most: int | None = None) -> list[tuple[Any, Any]] | None:
    """Return the first keys and values of a dictionary, also of a subclass; None for any other value."""
    return list(islice(dict.items(value), most)) if issubclass(type(value), dict) else None  # type: ignore[arg-type]  # the same
