from collections.abc import Callable, Iterable
from typing import NamedTuple


class Part(NamedTuple):
    """Something that can be made smaller.

    Args:
        size: What it takes, in bytes.
        fit: Makes it take at most so many bytes, 0 if there is no room for it at all; returns what it takes then.
        least: What it needs, in bytes, to be of any use.
        weight: How much of the room it gets, beside others that are made smaller too.
    """

    size: int
    fit: Callable[[int], int]
    least: int = 0
    weight: int = 1


def share(parts: Iterable[Part], room: int) -> int:
    """Make parts fit into a room together: the small ones stay whole, the large ones get the same each, by weight.

    Returns:
        What they take together.
    """
    kept, spare = _without_largest(list(parts), room)
    weights = sum(part.weight for part in kept)
    # From the smallest excess on, so that what one part leaves over goes to those after it.
    for part in sorted(kept, key=lambda part: (part.size - part.least) / part.weight):
        most = part.least + max(0, spare) * part.weight // weights
        size = part.size if part.size <= most else part.fit(most)
        spare -= size - part.least
        weights -= part.weight
    return room - spare


def _without_largest(parts: list[Part], room: int) -> tuple[list[Part], int]:
    """Leave out parts until the others find the room that they need; return them, and what is spare beyond that."""
    parts.sort(key=lambda part: part.least)
    spare = room - sum(part.least for part in parts)
    while spare < 0 and parts:
        part = parts.pop()
        spare += part.least - part.fit(0)
    return parts, spare
