"""Where the time of a trace went: the critical path, and the gaps in which nothing ran."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runspan.viewer.spans import ViewedSpan

_SHORTEST_GAP: Final = 0.05  # of the whole


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which no span that does the work ran, in milliseconds since the trace began."""

    start: float
    end: float


def mark_critical_path(spans: Sequence[ViewedSpan], children: Sequence[Sequence[int]], roots: Sequence[int]) -> None:
    """Mark the spans that the end of the trace waited for: of those below a span, backwards from its end.

    The last child to end is on the path; before it, the last that had ended when that one started; and so on.
    """
    waiting = [(root, spans[root].end) for root in roots[:1]]
    while waiting:
        index, until = waiting.pop()
        spans[index].is_critical = True
        for child in sorted(children[index], key=lambda each: _end(spans[each]), reverse=True):
            if until is None or _end(spans[child]) <= until:
                waiting.append((child, spans[child].end))
                until = spans[child].start


def idle_gaps(spans: Sequence[ViewedSpan], children: Sequence[Sequence[int]], duration: float) -> list[Gap]:
    """Return the times of more than 5 % of the trace in which none of the innermost spans ran."""
    leaves = sorted((span.start, _end(span)) for span, below in zip(spans, children, strict=True) if not below)
    gaps, reached = [], 0.0
    for start, end in [*leaves, (duration, duration)]:
        if start - reached > _SHORTEST_GAP * duration:
            gaps.append(Gap(reached, start))
        reached = max(reached, end)
    return gaps


def _end(span: ViewedSpan) -> float:
    return float("inf") if span.end is None else span.end
