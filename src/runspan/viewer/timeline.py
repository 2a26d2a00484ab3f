"""Where the time of a trace went: the critical path, and the gaps in which nothing ran."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from runspan.viewer.spans import ViewedSpan

_SHORTEST_GAP: Final = 0.05  # of the whole
_FOLDED_WIDTH: Final = 0.02


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


def scale(gaps: Sequence[Gap], duration: float) -> Callable[[float], float]:
    """Return a function from milliseconds to a fraction of the width, in which gaps are folded."""
    idle = sum(gap.end - gap.start for gap in gaps)
    busy = max(duration - idle, 1e-6)
    room = 1 - _FOLDED_WIDTH * len(gaps)

    def at(time: float) -> float:
        passed, folds = time, 0.0
        for gap in gaps:
            within = min(max(time - gap.start, 0), gap.end - gap.start)
            passed -= within
            folds += _FOLDED_WIDTH * within / (gap.end - gap.start)
        return min(max(passed / busy * room + folds, 0), 1)

    return at


def _end(span: ViewedSpan) -> float:
    return float("inf") if span.end is None else span.end
