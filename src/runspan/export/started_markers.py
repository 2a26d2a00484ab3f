"""Markers of what has begun, so that a run that hangs, or is killed, can be seen."""

from collections.abc import Mapping
from typing import Final
from weakref import WeakValueDictionary

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.util.types import AnyValue

from runspan import semconv

_MODEL_OPERATIONS: Final = ("chat", "text_completion", "generate_content")
_ids = RandomIdGenerator()


class StartedMarker(ReadableSpan):
    """A span of no length below one that has begun."""

    def __init__(self, span: ReadableSpan, context: trace.SpanContext) -> None:
        super().__init__(
            name=f"{span.name} started",
            context=trace.SpanContext(
                context.trace_id, _ids.generate_span_id(), is_remote=False, trace_flags=context.trace_flags
            ),
            parent=context,
            resource=span.resource,
            attributes={semconv.STARTED: True},
            kind=trace.SpanKind.INTERNAL,
            start_time=span.start_time,
            end_time=span.start_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self.is_over = False
        """Whether the span has ended, so that the marker says nothing new."""


class StartedMarkers:
    """Makes markers for roots and calls of models, and knows those whose spans have not ended."""

    def __init__(self) -> None:
        self._markers: WeakValueDictionary[int, StartedMarker] = WeakValueDictionary()  # by id of the span

    def begin(self, span: ReadableSpan, parent_context: Context | None) -> StartedMarker | None:
        """Return a marker of a span that starts, if it is of those that get one."""
        if span.context is None or not span.context.trace_flags.sampled or not _is_marked(span, parent_context):
            return None
        marker = self._markers[span.context.span_id] = StartedMarker(span, span.context)
        return marker

    def end(self, span: ReadableSpan) -> None:
        """Note that a span has ended: its marker is of no use if it was not sent yet."""
        marker = None if span.context is None else self._markers.pop(span.context.span_id, None)
        if marker is not None:
            marker.is_over = True


def is_wanted(span: ReadableSpan) -> bool:
    """Tell whether a span is still worth sending."""
    return not (isinstance(span, StartedMarker) and span.is_over)


def _is_marked(span: ReadableSpan, parent_context: Context | None) -> bool:
    if span.parent is None or span.parent.is_remote:
        return True
    parent = trace.get_current_span(parent_context)
    return _is_model(span.attributes) and not _is_model(getattr(parent, "attributes", None))


def _is_model(attributes: Mapping[str, AnyValue] | None) -> bool:
    return bool(attributes) and (attributes or {}).get(semconv.OPERATION) in _MODEL_OPERATIONS
