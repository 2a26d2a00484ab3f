"""Spans as W3C ``traceparent`` headers, which can be kept, and read in another process."""

from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_HEADER: Final = "traceparent"


def format_traceparent(span: SpanContext) -> str:
    """Return the header of a span that has ids."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers, trace.set_span_in_context(NonRecordingSpan(span), Context()))
    return headers[_HEADER]


def read_traceparent(header: str) -> SpanContext | None:
    """Return the span that a header is of, None if it is no such header."""
    context = _PROPAGATOR.extract({_HEADER: header}, Context())
    span = trace.get_current_span(context).get_span_context()
    return span if span.is_valid else None
