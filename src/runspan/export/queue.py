"""Ended spans and marks, in order. Takes no lock: anything may interrupt anything."""

from collections import deque
from collections.abc import Collection, Mapping
from sys import getsizeof
from types import MappingProxyType
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.types import AnyValue

from runspan._threads import Event

_SPAN_BYTES: Final = 1_500  # what a span without attributes takes
_PLAIN: Final = frozenset({str, int, float, bool, bytes, type(None)})


class Mark:
    """Stands in the queue; when it is reached everything that ended before was delivered or lost."""

    def __init__(self) -> None:
        self.reached = Event()
        self.works = False
        """Whether delivery worked when it was reached."""

    def reach(self, *, works: bool) -> None:
        """Let go of who waits."""
        self.works = works
        self.reached.set()


class SpanQueue:
    """What one delivery has yet to encode."""

    def __init__(self) -> None:
        self.bytes = 0
        """About how many bytes the spans take. To add to it is one step of CPython's, so no thread loses another's."""
        self._items: deque[tuple[ReadableSpan, int] | Mark] = deque()
        self._marks: deque[Mark] = deque()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def spans(self) -> int:
        """How many spans there are; ``len`` counts marks, too."""
        return len(self._items) - len(self._marks)

    def put(self, span: ReadableSpan, size: int) -> None:
        """Put a span at the end, with its size in memory."""
        self.bytes += size
        self._items.append((span, size))

    def put_mark(self, mark: Mark) -> None:
        """Put a mark at the end."""
        self._marks.append(mark)
        self._items.append(mark)

    def batch(self, most: int, most_bytes: int) -> tuple[list[ReadableSpan], Mark | None]:
        """Take spans from the front, until there are enough or a mark comes; it is returned beside them."""
        spans: list[ReadableSpan] = []
        while len(spans) < most and most_bytes > 0:
            try:
                item = self._items.popleft()
            except IndexError:  # empty, perhaps since a moment ago: others take, too
                break
            if isinstance(item, Mark):
                self._marks.popleft()
                return spans, item
            span, size = item
            self.bytes -= size
            most_bytes -= size
            spans.append(span)
        return spans, None


def memory_of(span: ReadableSpan) -> int:
    """Return about how many bytes a span takes: quickly, for the thread that ends it waits."""
    events = sum(_memory_of_attributes(event.attributes) for event in span.events)
    return _SPAN_BYTES + _memory_of_attributes(span.attributes) + events


def _memory_of_attributes(attributes: Mapping[str, AnyValue] | None) -> int:
    # What the SDK gives looks up each value by a function of Python's, and copies all at once in C.
    values = (attributes.copy() if isinstance(attributes, MappingProxyType) else attributes or {}).values()
    return _memory_of(values)


def _memory_of(values: Collection[object]) -> int:
    size = sum(map(getsizeof, values))
    if _PLAIN.issuperset(map(type, values)):
        return size
    for value in values:
        if isinstance(value, Mapping):
            size += _memory_of([*value.keys(), *value.values()])
        elif isinstance(value, list | tuple):
            size += _memory_of(value)
    return size
