import weakref

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from runspan.export.closing import close
from runspan.export.counts import Stats
from runspan.export.delivery import Delivery
from runspan.export.otlp.client import Client
from runspan.export.spool.files import Spool
from runspan.export.started import StartedMarkers

MAX_REQUEST_BYTES = 4_000_000
"""Below the 4 MiB that a gRPC server takes unless it is told otherwise."""


class DeliveringSpanProcessor(SpanProcessor):
    """Send sampled spans in batches from threads that all such processors share; the application never waits.

    What is queued when nobody refers to the processor any more is still delivered, also at the end of the process.

    Args:
        client: Sends requests. Called by one worker at a time, except for ``close``.
        destination: Names the receiver in log lines. One that fails takes no workers from the others.
        max_queue_size: Spans that wait; a new one finding the queue full is dropped and counted.
        max_batch_size: Spans that are put into requests together.
        schedule_delay_seconds: The longest that a span waits for its batch to fill.
        max_request_bytes: The largest request; a span that alone is larger is made shorter.
        spool: Where spans wait that can't be sent.
        started_markers: Whether roots and calls of models get a marker when they begin.
        shutdown_timeout_seconds: What ``shutdown`` may take in all unless it is told otherwise.
    """

    def __init__(
        self,
        client: Client,
        *,
        destination: str,
        max_queue_size: int = 2048,
        max_batch_size: int = 512,
        schedule_delay_seconds: float = 5.0,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        spool: Spool | None = None,
        started_markers: bool = False,
        shutdown_timeout_seconds: float = 4.0,
    ) -> None:
        self._shutdown_timeout_seconds = shutdown_timeout_seconds
        self._markers = StartedMarkers() if started_markers else None
        self._delivery = Delivery(
            client,
            destination,
            max_queue_size=max_queue_size,
            max_batch_size=max_batch_size,
            schedule_delay_seconds=schedule_delay_seconds,
            max_request_bytes=max_request_bytes,
            spool=spool,
        )
        weakref.finalize(self, self._delivery.orphan).atexit = False
        self._delivery.look_at_spool()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See to it that workers run: from Python 3.12 on no thread starts any more when the last spans end."""
        self._delivery.expect()
        marker = None if self._markers is None else self._markers.begin(span, parent_context)
        if marker is not None:
            self._delivery.add(marker)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if self._markers is not None:
            self._markers.end(span)
        if span.context is not None and span.context.trace_flags.sampled:
            self._delivery.add(span)

    def stats(self) -> Stats:
        """Return what became of the spans so far."""
        return self._delivery.stats()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what has ended so far and tell whether all of it arrived.

        False when the time is over first, also if the spans are safe on disk, when spans were lost since the last call
        that told so, while delivery fails, and after ``shutdown``.
        """
        return self._delivery.flush(timeout_millis / 1000)

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Deliver what is queued if that can be done in time, then stop; a second call does nothing."""
        self.close(self._shutdown_timeout_seconds if timeout_seconds is None else timeout_seconds)

    def close(self, timeout_seconds: float) -> bool:
        """Do what ``shutdown`` does and tell whether all arrived, as ``force_flush`` does."""
        close([self._delivery], timeout_seconds)
        return self._delivery.has_delivered_all()
