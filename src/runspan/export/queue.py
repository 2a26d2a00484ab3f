"""Ended spans, in order, and what waits for them. Takes no lock: anything may interrupt anything."""

from collections import deque

from opentelemetry.sdk.trace import ReadableSpan

from runspan._threads import Event


class Mark:
    """What a flush waits for: reached when all that ended before it was delivered or lost."""

    def __init__(self) -> None:
        self.reached = Event()
        self.is_due = False
        """Whether nothing that ended before it is in the queue any more."""
        self.works = False
        """Whether delivery worked when it was reached."""

    def reach(self, *, works: bool) -> None:
        """Let go of who waits."""
        if not self.reached.is_set():
            self.works = works
            self.reached.set()


class SpanQueue:
    """What one delivery has yet to encode."""

    def __init__(self) -> None:
        self.bytes = 0
        """About how many bytes the spans take. To add to it is one step of CPython's, so no thread loses another's."""
        self._items: deque[tuple[ReadableSpan, int]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, span: ReadableSpan, size: int) -> None:
        """Put a span at the end, with its size in memory."""
        self.bytes += size
        self._items.append((span, size))

    def batch(self, most: int, most_bytes: int) -> list[ReadableSpan]:
        """Take spans from the front until there are enough, or no more."""
        spans: list[ReadableSpan] = []
        while len(spans) < most and most_bytes > 0:
            try:
                span, size = self._items.popleft()
            except IndexError:  # empty, perhaps since a moment ago: others take, too
                break
            self.bytes -= size
            most_bytes -= size
            spans.append(span)
        return spans
