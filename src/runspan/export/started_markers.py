"""Markers of what has begun, so that a run that hangs, or is killed, can be seen."""

from weakref import WeakValueDictionary

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from runspan import semconv
from runspan.semconv import delivery_names
from runspan.semconv.operations import MODEL_OPERATIONS

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
            attributes={delivery_names.STARTED: True},
            kind=trace.SpanKind.INTERNAL,
            start_time=span.start_time,
            end_time=span.start_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self.span = span
        """What has begun; when it has ended the marker says nothing new."""


class StartedMarkers:
    """Makes markers for roots and calls of models."""

    def __init__(self) -> None:
        self._started: WeakValueDictionary[int, ReadableSpan] = WeakValueDictionary()  # by id

    def begin(self, span: ReadableSpan, parent_context: Context | None) -> StartedMarker | None:
        """Return a marker of a span that starts, if it is of those that get one."""
        if span.context is None or not span.context.trace_flags.sampled:
            return None
        self._started[span.context.span_id] = span
        if span.parent is None or span.parent.is_remote:
            return StartedMarker(span, span.context)
        # Processors may be called in a thread that has another context: the ids are right there, too.
        parent = self._started.get(span.parent.span_id) or trace.get_current_span(parent_context)
        return StartedMarker(span, span.context) if _is_model(span) and not _is_model(parent) else None


def is_wanted(span: ReadableSpan) -> bool:
    """Return whether a span is still worth sending."""
    return not (isinstance(span, StartedMarker) and span.span.end_time is not None)


def _is_model(span: object) -> bool:
    return (getattr(span, "attributes", None) or {}).get(semconv.OPERATION) in MODEL_OPERATIONS
