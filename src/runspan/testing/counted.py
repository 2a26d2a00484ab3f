"""Spans as plain data that is the same each time: ids are counted, and so is time."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Final

from opentelemetry.trace import SpanContext

from runspan import semconv
from runspan.rebuild.span_data import plain
from runspan.testing.recorded_span import RecordedSpan

# What differs from run to run.
_LEFT_OUT: Final = {
    semconv.CHECKPOINT_ID,
    semconv.CHECKPOINT_NAMESPACE,
    semconv.HISTORY_SPAN,
    semconv.RUN_ID,
    semconv.TIME_TO_FIRST_CHUNK,
    semconv.EXCEPTION_STACKTRACE,
}


def counted_spans(spans: Iterable[RecordedSpan]) -> list[dict[str, Any]]:
    """Return spans as ``Trace.to_dicts`` does."""
    listed = sorted(spans, key=lambda each: each.span.start_time or 0)
    counted = _Counted(listed)
    return [counted.described(each) for each in listed]


class _Counted:
    """Numbers for the ids and the moments of spans."""

    def __init__(self, spans: Sequence[RecordedSpan]) -> None:
        contexts = [each.span.context for each in spans]
        self._traces = _numbers(each.trace_id for each in contexts if each is not None)
        self._spans = _numbers(each.span_id for each in contexts if each is not None)
        moments = [moment for each in spans for moment in _moments(each)]
        self._ticks = _numbers(sorted(moment for moment in moments if moment is not None))

    def described(self, recorded: RecordedSpan) -> dict[str, Any]:
        span = recorded.span
        described = {
            "name": span.name,
            "kind": span.kind.name,
            "trace": self._traces[span.context.trace_id] if span.context is not None else None,
            "id": self._id(span.context),
            "parent": self._id(span.parent),
            "start": self._ticks.get(span.start_time or 0),
            "end": self._ticks.get(span.end_time or 0),
            "status": span.status.status_code.name,
            "attributes": _attributes(recorded.attributes),
            "links": [self._id(link.context) for link in span.links],
            "events": [
                {
                    "name": each.name,
                    "at": self._ticks.get(each.timestamp),
                    "attributes": _attributes(each.attributes or {}),
                }
                for each in span.events
            ],
        }
        return {name: value for name, value in described.items() if value not in (None, [])}

    def _id(self, context: SpanContext | None) -> int | None:
        return self._spans.get(context.span_id, 0) if context is not None else None


def _moments(recorded: RecordedSpan) -> list[int | None]:
    return [recorded.span.start_time, recorded.span.end_time, *(each.timestamp for each in recorded.span.events)]


def _numbers(values: Iterable[int]) -> dict[int, int]:
    numbers, following = {}, count(1)
    for value in values:
        if value not in numbers:
            numbers[value] = next(following)
    return numbers


def _attributes(attributes: Mapping[str, object]) -> dict[str, Any]:
    return {name: plain(value) for name, value in sorted(attributes.items()) if name not in _LEFT_OUT}
