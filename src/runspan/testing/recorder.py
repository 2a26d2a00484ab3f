"""Keeps what a test traces."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor


class Recorder(SpanProcessor):
    """Keeps the spans that start in its scope, as they are when they end."""

    def __init__(self) -> None:
        self._spans: dict[int, ReadableSpan] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  the interface
        """Keep a span that is open."""
        self._keep(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep what is left of it at its end."""
        self._keep(span)

    def spans(self) -> list[ReadableSpan]:
        """Return the spans that have started."""
        return list(self._spans.copy().values())

    def _keep(self, span: ReadableSpan) -> None:
        if span.context is not None:
            self._spans[span.context.span_id] = span
