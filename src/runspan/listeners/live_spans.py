"""What is known of spans between their start and their end.

A processor is given one object when a span starts and another when it ends, so spans are known by their ids. A
span that is dropped without an end is forgotten when it is garbage: not at once, for what is collected with it, such
as a generator, may end it yet. Nothing here takes a lock: spans start and end in the middle of a collection, too.
"""

import time
from collections import deque
from functools import partial
from typing import Any, Final, Generic, TypeVar
from weakref import ref

from opentelemetry.trace import SpanContext

_T = TypeVar("_T")
_Key = tuple[int, int]

_REMEMBERED_NS: Final = 1_000_000_000


class LiveSpans(Generic[_T]):
    """A value for each span that has started and not ended."""

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry[_T]] = {}
        self._collected: deque[tuple[int, _Key]] = deque()

    def put(self, span: Any, value: _T) -> None:
        """Keep a value until the span ends or is garbage; ``span`` is what ``on_start`` was given."""
        if self._collected:
            self._forget_collected()
        key = _key(span.get_span_context())
        self._entries[key] = _Entry(ref(span, partial(self._on_collected, key)), value)

    def get(self, context: SpanContext | None) -> _T | None:
        """Return the value of a span that is live, else None."""
        entry = self._entries.get(_key(context)) if context is not None else None
        return entry.value if entry is not None else None

    def pop(self, context: SpanContext | None) -> _T | None:
        """Return the value of a span that ends now, and forget it."""
        entry = self._entries.pop(_key(context), None) if context is not None else None
        return entry.value if entry is not None else None

    def values(self) -> list[_T]:
        """Return the values of all live spans."""
        return [entry.value for entry in self._entries.copy().values()]

    def __len__(self) -> int:
        return len(self._entries)

    def _on_collected(self, key: _Key, _: object) -> None:
        self._collected.append((time.monotonic_ns(), key))

    def _forget_collected(self) -> None:
        due = time.monotonic_ns() - _REMEMBERED_NS
        try:
            while self._collected[0][0] < due:
                self._entries.pop(self._collected.popleft()[1], None)
        except IndexError:  # all are forgotten, perhaps by another thread
            return


class _Entry(Generic[_T]):
    __slots__ = ("_span", "value")

    def __init__(self, span: "ref[Any]", value: _T) -> None:
        self._span = span
        self.value = value


def _key(context: SpanContext) -> _Key:
    return context.trace_id, context.span_id
