from collections.abc import Mapping

from runspan.export.batching import batching_from_environment
from runspan.export.on_demand import OnDemandExporter
from runspan.export.otlp import resolve_target
from runspan.export.processor import DeliveringSpanProcessor


class OtlpSpanProcessor(DeliveringSpanProcessor):
    """Send ended spans to an OTLP endpoint, in the background; for a handler whose traces go to a place of their own.

    All such processors share a few threads, and a connection is made when there is something to send, so there may be
    one for each of thousands of tenants. Make one per tenant rather than one per call: a batch takes the spans of many
    calls, and a receiver that fails is logged once for each processor.
    All standard ``OTEL_EXPORTER_OTLP_*`` and ``OTEL_BSP_*`` variables count; arguments win.

    Args:
        endpoint: Base URL of the collector or backend, such as ``http://localhost:4318``.
        protocol: ``http/protobuf`` (default) or ``grpc``.
        headers: Sent with every request, such as the key of a tenant.

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
    ) -> None:
        target = resolve_target(endpoint=endpoint, protocol=protocol, headers=headers)
        target.import_early()
        super().__init__(
            OnDemandExporter(target.exporter), destination=target.destination, **batching_from_environment()
        )
