"""Items of a list that are to be written, as far as there is room for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from runspan._guard import attempt
from runspan.payload.redacting import Redact
from runspan.payload.text import unprintable

LEAST_FOR_ITEM: Final = 512  # bytes
"""An item that is made has so much room or is left out: a message has its role, its type and some of its text."""
_FEW: Final = 8


@dataclass(slots=True)
class Items:
    """Items of a list that are made one by one, as far as there is room for them."""

    values: object
    """A list or tuple."""
    make: Callable[[Any], object] | None = None
    """Makes an item of what is in the list."""
    newest_first: bool = False
    """Whether the last are kept if there is no room for all, after the last the first, which may be the system's."""
    note: Callable[[str], object] = str
    """Makes the item that says how many were left out, of 80 bytes at most beside that text."""
    write: Callable[[Any, Redact | None], bytes | None] | None = None
    """Returns the JSON of one that is in the list, None if it has to be made; it runs no code of it."""
    write_run: Callable[[list[Any], int, int], tuple[bytes, int]] | None = None
    """Returns the JSON of the last before an index, given the room, and how many they are; none is the first of all.
    """

    def item(self, index: int) -> object:
        """Return one item, made."""
        values: Any = self.values
        item = (list if issubclass(type(values), list) else tuple).__getitem__(values, index)
        if self.make is None:
            return item
        made = attempt(self.make, item, default=None)
        return made if made is not None else unprintable(item)

    def order(self, count: int) -> Iterator[int]:
        """Yield so many indexes in the order of what is kept first."""
        if not self.newest_first:
            return iter(range(count))
        return chain(range(count - 1, count - 2, -1), range(min(1, count - 1)), range(count - 2, 0, -1))

    def whole(self, most: int) -> bytes | None:
        """Return the JSON of a few items that are all JSON as they are, if it takes no more than so many bytes."""
        if self.write is None or type(self.values) is not list or len(self.values) > _FEW:
            return None
        written = [self.write(each, None) for each in self.values]
        if None in written:
            return None
        joined = b"[%b]" % b",".join(written)  # type: ignore[arg-type]  # it doesn't know that there is no None now
        return joined if len(joined) <= most else None

    def written(self, index: int, redact: Redact | None) -> bytes | None:
        """Return the JSON of an item that is JSON as it is, None of another."""
        if self.write is None or type(self.values) is not list:
            return None
        return self.write(self.values[index], redact)
