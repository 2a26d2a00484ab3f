from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

from runspan.export.closing import close
from runspan.export.delivery import Delivery


class DeliveringSpanProcessor(SpanProcessor):
    """Export sampled spans in batches from threads that all such processors share; the application never waits.

    What is queued when nobody refers to the processor any more is still delivered, also at the end of the process.

    Args:
        exporter: Where the spans go. Called by one worker at a time, except for ``shutdown``, which must not wait.
        destination: Names the receiver in log lines. One that fails takes no workers from the others.
        max_queue_size: Spans that wait; a new one finding the queue full is dropped and counted.
        max_batch_size: Spans in one export.
        schedule_delay_seconds: The longest that a span waits for its batch to fill.
        shutdown_timeout_seconds: What ``shutdown`` may take in all unless it is told otherwise.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        destination: str,
        max_queue_size: int = 2048,
        max_batch_size: int = 512,
        schedule_delay_seconds: float = 5.0,
        shutdown_timeout_seconds: float = 4.0,
    ) -> None:
        self._shutdown_timeout_seconds = shutdown_timeout_seconds
        self._delivery = Delivery(
            exporter,
            destination,
            max_queue_size=max_queue_size,
            max_batch_size=max_batch_size,
            schedule_delay_seconds=schedule_delay_seconds,
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  the interface's
        """See to it that workers run: from Python 3.12 on no thread starts any more when the last spans end."""
        self._delivery.expect()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._delivery.add(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what has ended so far and tell whether all of it arrived.

        False when the time is over first, when spans were lost since the last call that told so, while delivery
        fails, and after ``shutdown``.
        """
        return self._delivery.flush(timeout_millis / 1000)

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Deliver what is queued if that can be done in time, then stop; a second call does nothing."""
        close([self._delivery], self._shutdown_timeout_seconds if timeout_seconds is None else timeout_seconds)
