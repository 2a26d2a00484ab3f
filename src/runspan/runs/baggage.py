"""What a run adds to the baggage of OpenTelemetry, which goes to the services that are called within it.

Contexts are never taken back, so what stands in one answers by whether the run executes: outside of it, it is the
baggage of before.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, final
from urllib.parse import quote_plus

from opentelemetry.context import Context

Pairs = tuple[tuple[str, str], ...]
"""Names and values."""

# W3C Baggage: what everybody has to pass on.
MOST_PAIRS: Final = 64
MOST_BYTES: Final = 8192
MOST_BYTES_OF_PAIR: Final = 4096


def with_baggage(here: Context, added: Pairs, is_executing: Callable[[], bool]) -> Mapping[str, object]:
    """Return what a context needs for a run that adds to the baggage; nothing if it has that of a run around.

    Args:
        here: the context that the run starts in.
        added: what it adds.
        is_executing: whether the run executes where it is called.
    """
    baggage_key = _baggage_key()
    before = here.get(baggage_key)
    while type(before) is RunBaggage and not before.is_executing():
        before = before.before
    if type(before) is RunBaggage and before.added == added:
        return {}
    return {baggage_key: RunBaggage(before if isinstance(before, dict) else {}, added, is_executing)}


def encoded(name: str, value: object) -> str:
    """Return a name and a value as baggage goes over the wire."""
    return f"{quote_plus(name)}={quote_plus(str(value))}"


@final
class RunBaggage(dict[str, object]):
    """The baggage within a run; OpenTelemetry takes dictionaries alone.

    Args:
        before: the baggage of before.
        added: what the run adds; nothing if it does not fit beside that.
        is_executing: whether the run executes where it is called.
    """

    def __init__(self, before: dict[str, object], added: Pairs, is_executing: Callable[[], bool]) -> None:
        super().__init__()
        self.before = before
        self.added = added
        self.is_executing = is_executing

    def copy(self) -> dict[str, object]:
        """Return the baggage of this moment."""
        before = dict(self.before.items())
        if not self.is_executing():
            return before
        within = {**before, **dict(self.added)}
        return within if _fits(within) else before

    def __getitem__(self, name: str) -> object:
        return self.copy()[name]

    def __contains__(self, name: object) -> bool:
        return name in self.copy()

    def __iter__(self) -> Iterator[str]:
        return iter(self.copy())

    def __len__(self) -> int:
        return len(self.copy())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, else the default."""
        return self.copy().get(name, default)

    def keys(self) -> Any:
        """Return the names."""
        return self.copy().keys()

    def values(self) -> Any:
        """Return the values."""
        return self.copy().values()

    def items(self) -> Any:
        """Return the names and values."""
        return self.copy().items()


@functools.cache
def _baggage_key() -> str:
    """Return OpenTelemetry's key of the baggage, as its public function writes it."""
    from opentelemetry import baggage  # noqa: PLC0415  few handlers add to it

    (key,) = baggage.set_baggage("key", "value", Context())
    return key


def _fits(within: Mapping[str, object]) -> bool:
    sizes = [len(encoded(name, value)) for name, value in within.items()]
    return len(sizes) <= MOST_PAIRS and sum(sizes) + len(sizes) <= MOST_BYTES
