from collections import deque
from collections.abc import Callable

from opentelemetry.sdk.trace import ReadableSpan

from runspan._threads import Event


class Mark:
    """A place in the queue; when it is reached everything that ended before was delivered or lost."""

    def __init__(self) -> None:
        self.reached = Event()
        self.delivered = False
        self.lost = 0

    def reach(self, *, delivered: bool, lost: int) -> None:
        """Let go of who waits; tell whether delivery works now and how many spans were ever lost."""
        self.delivered = delivered
        self.lost = lost
        self.reached.set()


class SpanQueue:
    """Ended spans and marks, in order. Takes no lock: anything may interrupt anything.

    Args:
        is_wanted: Asked when a span is taken out; one that is not is left out.
    """

    def __init__(self, is_wanted: Callable[[ReadableSpan], bool]) -> None:
        self._is_wanted = is_wanted
        self._items: deque[ReadableSpan | Mark] = deque()
        self._marks: deque[Mark] = deque()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def spans(self) -> int:
        """How many spans there are; ``len`` counts marks, too."""
        return len(self._items) - len(self._marks)

    def put(self, span: ReadableSpan) -> None:
        """Put a span at the end."""
        self._items.append(span)

    def put_mark(self, mark: Mark) -> None:
        """Put a mark at the end."""
        self._marks.append(mark)
        self._items.append(mark)

    def batch(self, most: int) -> tuple[list[ReadableSpan], Mark | None]:
        """Take spans from the front, until there are enough or a mark comes."""
        spans: list[ReadableSpan] = []
        while len(spans) < most:
            try:
                item = self._items.popleft()
            except IndexError:  # empty, perhaps since a moment ago: others take, too
                break
            if isinstance(item, Mark):
                self._marks.popleft()
                return spans, item
            if self._is_wanted(item):
                spans.append(item)
        return spans, None
