from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from runspan._guard import attempt


class DirectSpanProcessor(SpanProcessor):
    """Hand each ended span to its exporter at once, in the thread that ended it; for exporters that never wait."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._closed = False

    def on_end(self, span: ReadableSpan) -> None:
        """Export a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled and not self._closed:
            attempt(self._exporter.export, (span,), default=SpanExportResult.FAILURE)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let the exporter give out what it holds back."""
        return attempt(self._exporter.force_flush, timeout_millis, default=False)

    def close(self, timeout_seconds: float) -> bool:
        """Let the exporter give out what it holds back and shut it down; tell whether it could."""
        is_given_out = self._closed or self.force_flush(int(timeout_seconds * 1000))
        self.shutdown()
        return is_given_out

    def shutdown(self) -> None:
        """Shut the exporter down; a second call does nothing."""
        if not self._closed:
            self._closed = True
            attempt(self._exporter.shutdown, default=None)
