from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """An encoded ``ExportTraceServiceRequest`` on its way.

    https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-request

    Args:
        body: The message as protobuf, not compressed.
        spans: How many spans it holds.
        shortened: How many of them were made shorter to fit.
    """

    body: bytes = field(repr=False)
    spans: int
    shortened: int = 0
