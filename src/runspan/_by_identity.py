"""What is known of objects that may have no hash, such as the providers of Logfire, as long as they exist."""

from typing import Generic, TypeVar
from weakref import ref

_K = TypeVar("_K")
_V = TypeVar("_V")


class ByIdentity(Generic[_K, _V]):
    """A value for each of some objects; it goes with its object."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[ref[_K], _V]] = {}

    def __contains__(self, key: _K) -> bool:
        return id(key) in self._entries

    def get(self, key: _K) -> _V | None:
        """Return the value for an object, None without one."""
        entry = self._entries.get(id(key))
        return None if entry is None else entry[1]

    def setdefault(self, key: _K, value: _V) -> _V:
        """Return the value for an object: the one that is there, or the given one from now on."""
        entries, key_id = self._entries, id(key)
        return entries.setdefault(key_id, (ref(key, lambda _: entries.pop(key_id, None)), value))[1]

    def values(self) -> list[_V]:
        """Return the values for the objects that are there now."""
        return [value for _, value in self.items()]

    def items(self) -> list[tuple[_K, _V]]:
        """Return the objects that are there now, each with its value."""
        return [(key, value) for reference, value in self._entries.copy().values() if (key := reference()) is not None]
