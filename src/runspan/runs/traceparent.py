"""Spans as W3C ``traceparent`` headers, which can be kept, and read in another process."""

import functools
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator

_HEADER: Final = "traceparent"


def format_traceparent(span: SpanContext) -> str:
    """Return the header of a span that has ids."""
    headers: dict[str, str] = {}
    _propagator().inject(headers, trace.set_span_in_context(NonRecordingSpan(span), Context()))
    return headers[_HEADER]


def read_traceparent(header: str) -> SpanContext | None:
    """Return the span that a header is of, None if it is no such header."""
    context = _propagator().extract({_HEADER: header}, Context())
    span = trace.get_current_span(context).get_span_context()
    return span if span.is_valid else None


@functools.cache
def _propagator() -> "TextMapPropagator":
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  few applications ask for a header
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator()
