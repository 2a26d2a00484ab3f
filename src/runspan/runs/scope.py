"""Who hears a run and all that happens within it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from runspan.runs.baggage import Pairs

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler
    from opentelemetry.sdk.trace import SpanProcessor

_T = TypeVar("_T")


class Scope(NamedTuple):
    """The listeners that handlers brought: immutable, so a run shares its parent's unless it adds to it."""

    processors: "tuple[SpanProcessor, ...]" = ()
    """They hear the spans."""
    callbacks: "tuple[BaseCallbackHandler, ...]" = ()
    """They hear the events of the runs, and of other spans that mean a run."""
    baggage: Pairs = ()
    """What goes to the services that are called within."""

    def joined(self, other: "Scope") -> "Scope":
        """Return both; who is in both is there once."""
        if other is self or other is NOBODY:
            return self
        if self is NOBODY:
            return other
        new = other.without(self)
        if new is NOBODY:
            return self
        pairs = tuple(dict(self.baggage + new.baggage).items()) if new.baggage else self.baggage
        return Scope(self.processors + new.processors, self.callbacks + new.callbacks, pairs)

    def without(self, other: "Scope") -> "Scope":
        """Return who is not in the other."""
        if self is NOBODY or self is other:
            return NOBODY
        processors = only_new(self.processors, other.processors)
        callbacks = only_new(self.callbacks, other.callbacks)
        baggage = tuple(pair for pair in self.baggage if pair not in other.baggage)
        return Scope(processors, callbacks, baggage) if processors or callbacks or baggage else NOBODY


NOBODY: Final = Scope()


def only_new(candidates: Iterable[_T], known: Iterable[_T]) -> tuple[_T, ...]:
    """Return those that are not known, each once; by identity, since the ``==`` of a listener may be anything."""
    seen = {id(each) for each in known}
    new = []
    for each in candidates:
        if id(each) not in seen:
            seen.add(id(each))
            new.append(each)
    return tuple(new)
