import os
from collections.abc import Mapping
from weakref import WeakValueDictionary

from runspan.export.batching import batching_from_environment
from runspan.export.metrics import observe_deliveries
from runspan.export.otlp.on_demand import OnDemandClient
from runspan.export.otlp.target import OtlpTarget, resolve_target
from runspan.export.processor import MAX_REQUEST_BYTES, DeliveringSpanProcessor
from runspan.export.spool.choice import Durability, chosen_spool
from runspan.export.spool.files import Spool


class OtlpSpanProcessor(DeliveringSpanProcessor):
    """Send ended spans to an OTLP endpoint, in the background; for any tracer provider, or a handler's own.

    All such processors share a few threads, and a connection is made when there is something to send, so there may be
    one for each of thousands of tenants. Make one per tenant rather than one per call: a batch takes the spans of many
    calls, and a receiver that fails is logged once for each processor.
    All standard ``OTEL_EXPORTER_OTLP_*`` and ``OTEL_BSP_*`` variables count; arguments win.

    What can't be delivered now is sent again, as the receiver and OTLP ask. Meanwhile as many spans wait as the queue
    holds; with a spool, as many as fit on disk.

    Args:
        endpoint: Base URL of the collector or backend, such as ``http://localhost:4318``.
        protocol: ``http/protobuf`` (default) or ``grpc``.
        headers: Sent with every request, such as the key of a tenant.
        spool: A file where spans wait that can't be delivered, or a ``Spool``. It holds prompts in clear. Several
            processes may share one; tenants must not.
        durability: ``write-ahead`` puts all spans there before they are sent, so that little is lost by a ``kill -9``.
        max_request_bytes: The largest request; a span that alone is larger is made shorter.
        started_markers: Whether roots and calls of models get a span of no length when they begin, so that those that
            hang, or are killed, are seen.
        shutdown_timeout_seconds: What ``shutdown`` may take unless it is told otherwise.

    Raises:
        ValueError: An argument or an environment variable has a value that can't be used.

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
        protocol: str | None = None,
        headers: Mapping[str, str] | None = None,
        spool: str | os.PathLike[str] | Spool | None = None,
        durability: Durability | None = None,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        started_markers: bool = False,
        shutdown_timeout_seconds: float = 4.0,
    ) -> None:
        target = resolve_target(endpoint=endpoint, protocol=protocol, headers=headers)
        target.import_early()
        self._client = OnDemandClient(target.client)
        chosen = chosen_spool(spool, durability)
        if chosen is not None:
            self._claim(chosen, target)
        super().__init__(
            self._client,
            destination=target.destination,
            max_request_bytes=max_request_bytes,
            spool=chosen,
            started_markers=started_markers,
            shutdown_timeout_seconds=shutdown_timeout_seconds,
            **batching_from_environment(),
        )
        observe_deliveries()

    def check(self) -> None:
        """Prepare to connect, so that a mistake in certificates or credentials is an error here.

        Raises:
            ValueError: The environment names something that can't be used.
        """
        self._client.build()

    def _claim(self, spool: Spool, target: OtlpTarget) -> None:
        """See to it that what one tenant has spooled is not sent with the headers of another."""
        self.headers = dict(target.headers)
        owner = _owners.setdefault((os.path.realpath(spool.path), target.destination), self)
        if owner.headers != self.headers:
            raise ValueError(
                f"The spool {os.fspath(spool.path)} is in use for {target.destination} with other headers, and would"
                " send one tenant's spans as another's. Name a file for each."
            )


_owners: WeakValueDictionary[tuple[str, str], OtlpSpanProcessor] = WeakValueDictionary()
