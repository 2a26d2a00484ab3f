"""Span processors that deliver over OTLP, in the background."""

import dataclasses
import os
import weakref
from collections.abc import Mapping
from functools import partial

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from runspan.arguments import check_bool, check_number, checked_seconds
from runspan.export.delivery import MAX_REQUEST_BYTES, Delivery
from runspan.export.otlp.client import import_early, make_client
from runspan.export.otlp.credentials import find_provider
from runspan.export.otlp.target import GRPC, OtlpProtocol, OtlpTarget, resolve_target
from runspan.export.sending import SMALLEST_REQUEST_BYTES
from runspan.export.shutdown import close
from runspan.export.spool import Durability, Spool, SpoolFolder
from runspan.export.started_markers import StartedMarkers
from runspan.export.stats import Stats, observe_deliveries


class DeliveringSpanProcessor(SpanProcessor):
    """Send sampled spans in batches from a thread that is there while spans wait; the application never waits.

    What is queued when nobody refers to the processor any more is still delivered, also at the end of the process.
    """

    def __init__(
        self, delivery: Delivery, *, started_markers: bool = False, shutdown_timeout_seconds: float = 4.0
    ) -> None:
        self._shutdown_timeout_seconds = shutdown_timeout_seconds
        self._markers = StartedMarkers() if started_markers else None
        self._delivery = delivery
        weakref.finalize(self, delivery.abandon).atexit = False

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Queue a marker, if there are to be any."""
        marker = None if self._markers is None else self._markers.begin(span, parent_context)
        if marker is not None:
            self._delivery.add(marker)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._delivery.add(span)

    def stats(self) -> Stats:
        """Return what became of the spans so far."""
        return self._delivery.stats()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what has ended so far, and return whether all of it arrived.

        False when the time is over first, also if the spans are safe on disk, when spans were lost since the last call
        that said so, while delivery fails, and after ``shutdown``.
        """
        return self._delivery.flush(checked_seconds("timeout_millis", timeout_millis) / 1000)

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Deliver what is queued if that can be done in time, then stop; a second call does nothing."""
        self.close(self._shutdown_timeout_seconds if timeout_seconds is None else timeout_seconds)

    def close(self, timeout_seconds: float) -> bool:
        """Do what ``shutdown`` does.

        Args:
            timeout_seconds: for all of it.

        Returns:
            Whether all was delivered, as ``force_flush`` has it.
        """
        close([self._delivery], checked_seconds("timeout_seconds", timeout_seconds))
        return self._delivery.has_delivered_all()


class OtlpSpanProcessor(DeliveringSpanProcessor):
    """Send ended spans to an OTLP endpoint, in the background; for any tracer provider, or a handler's own.

    Each has a thread while spans wait, and makes a connection when there is something to send, so a thousand tenants
    may have one each, and none waits for another's receiver. Make one per tenant rather than one per call: a batch
    takes the spans of many calls, and a receiver that fails is logged once for each processor.
    All standard ``OTEL_EXPORTER_OTLP_*`` and ``OTEL_BSP_*`` variables count; arguments win.

    What can't be delivered now is sent again, as the receiver and OTLP ask. Meanwhile as many spans wait as the queue
    holds; with a spool, as many as fit on disk.

    Args:
        endpoint: base URL of the collector or backend, such as ``http://localhost:4318``.
        protocol: ``http/protobuf`` (default) or ``grpc``.
        headers: sent with every request, such as the key of a tenant.
        spool: a folder where spans wait that can't be delivered, or a ``Spool``. It holds prompts in clear text.
            Several processes may share one; tenants must not.
        durability: ``write-ahead`` puts all spans there before they are sent, so that little is lost by a ``kill -9``.
        max_request_bytes: the largest request in bytes, at least 16,384; a single larger span is shortened.
        started_markers: whether roots and model calls get a span of no length when they begin, so that those that
            hang or are killed can be seen.
        shutdown_timeout_seconds: how long ``shutdown`` may take if it is given no other time.

    Raises:
        ValueError: if an argument or an environment variable has a value that can't be used.
        TypeError: if an argument is of another type.

    Example:
        >>> def handler_of(key: str) -> OpenTelemetryCallbackHandler:
        ...     processor = OtlpSpanProcessor(endpoint="https://traces.example.com", headers={"x-api-key": key})
        ...     return OpenTelemetryCallbackHandler(span_processors=[processor])
        >>> handlers = {tenant: handler_of(key) for tenant, key in keys.items()}
        >>> chain.invoke(question, config={"callbacks": [handlers[tenant]]})
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        protocol: OtlpProtocol | None = None,
        headers: Mapping[str, str] | None = None,
        spool: str | os.PathLike[str] | Spool | None = None,
        durability: Durability | None = None,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        started_markers: bool = False,
        shutdown_timeout_seconds: float = 4.0,
    ) -> None:
        check_number("max_request_bytes", max_request_bytes, least=SMALLEST_REQUEST_BYTES, is_whole=True)
        check_bool("started_markers", started_markers)
        shutdown_timeout_seconds = checked_seconds("shutdown_timeout_seconds", shutdown_timeout_seconds)
        target = resolve_target(endpoint=endpoint, protocol=protocol, headers=headers)
        import_early(target)
        self._transport = "GRPC" if target.protocol == GRPC else "HTTP"
        chosen = _chosen_spool(spool, durability)
        receiver = repr((target.protocol, target.endpoint, sorted(target.headers.items())))
        if chosen is not None:
            self._claim(chosen, target, receiver)
        delivery = Delivery(
            partial(make_client, target),
            target.destination,
            max_queue_size=_positive("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
            max_batch_size=_positive("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
            schedule_delay_seconds=_positive("OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000,
            max_request_bytes=max_request_bytes,
            folder=None if chosen is None else SpoolFolder(chosen, receiver),
        )
        super().__init__(delivery, started_markers=started_markers, shutdown_timeout_seconds=shutdown_timeout_seconds)
        observe_deliveries()

    def check(self) -> None:
        """Prepare to connect, so that a mistake in certificates or the name of a credential provider is an error here.

        Raises:
            ValueError: if the environment names something that can't be used.
        """
        if find_provider(self._transport) is None:  # it may wait for a network: a thread of ours calls it
            self._delivery.check()

    def _claim(self, spool: Spool, target: OtlpTarget, receiver: str) -> None:
        """See to it that tenants, who have headers of their own, don't share the room of a folder."""
        self.receiver = receiver
        owner = _owners.setdefault((os.path.realpath(spool.path), target.destination), self)
        if owner.receiver != receiver:
            raise ValueError(
                f"The spool {os.fspath(spool.path)} is in use for {target.destination} with other headers, user or"
                " query; full, it would drop the spans of one tenant for those of another. Name a folder for each."
            )


_owners: weakref.WeakValueDictionary[tuple[str, str], OtlpSpanProcessor] = weakref.WeakValueDictionary()


def _chosen_spool(spool: str | os.PathLike[str] | Spool | None, durability: Durability | None) -> Spool | None:
    """Return the spool that a user means by a path or a ``Spool``, with the durability named beside it."""
    if durability not in {None, "on-failure", "write-ahead"}:
        raise ValueError(f"durability is {durability!r}; it must be 'on-failure' or 'write-ahead'.")
    if spool is None:
        if durability is not None:
            raise ValueError(f"durability is {durability!r} without a spool; name a folder: spool=PATH.")
        return None
    chosen = spool if isinstance(spool, Spool) else Spool(spool)
    return chosen if durability is None else dataclasses.replace(chosen, durability=durability)


def _positive(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{variable} is {text!r}; it must be a whole number above 0.")
    return int(text)
