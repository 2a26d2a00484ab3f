"""Spans as requests of OTLP, each small enough for its receiver."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.trace import ReadableSpan

from runspan._encoding import encode_repaired
from runspan.export.encoding.shorten import is_shortened, shorten

# Tag and length before a field, at most.
_FRAME: Final = 6


@dataclass(frozen=True, slots=True)
class Request:
    """An ``ExportTraceServiceRequest`` as protobuf, not compressed; how many spans it has, how many were shortened.

    https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-request
    """

    body: bytes = field(repr=False)
    spans: int
    shortened: int = 0


class Encoded(NamedTuple):
    """Spans in requests; how many are in none, for OTLP can't express them, and why the first of those is not."""

    requests: list[Request]
    not_encodable: int = 0
    reason: str = ""


def encode(spans: Sequence[ReadableSpan], limit: int) -> Encoded:
    """Encode spans into requests of at most ``limit`` bytes each; a span that alone is larger is shortened."""
    message, reasons = encode_repaired(spans)
    return Encoded([*_packed(message, limit)], len(reasons), reasons[0] if reasons else "")


def split(request: Request, limit: int) -> list[Request]:
    """Make requests of at most ``limit`` bytes of one that is too large; one that can't be read stays as it is."""
    if len(request.body) <= limit:
        return [request]
    try:
        return [*_packed(ExportTraceServiceRequest.FromString(request.body), limit)] or [request]
    except DecodeError:
        return [request]


_ScopedSpan = tuple[ResourceSpans, ScopeSpans, Span]


def _scoped_spans(message: ExportTraceServiceRequest) -> list[_ScopedSpan]:
    return [
        (resource_spans, scope_spans, span)
        for resource_spans in message.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _packed(message: ExportTraceServiceRequest, limit: int) -> Iterator[Request]:
    """Return one request if all fits, else fill one after the other, each until there is no room for the next span."""
    entries, body = _scoped_spans(message), message.SerializeToString()
    if entries and len(body) <= limit:
        yield Request(body, len(entries))
        return
    together: list[_ScopedSpan] = []
    size = 0
    for entry in entries:
        _, scope_spans, span = entry
        alone = _joined([entry]).ByteSize() + 3 * _FRAME
        added = span.ByteSize() + _FRAME if together and scope_spans is together[-1][1] else alone
        if together and size + added > limit:
            yield _request(together, limit)
            together, size, added = [], 0, alone
        together.append(entry)
        size += added
    if together:
        yield _request(together, limit)


def _joined(entries: Iterable[_ScopedSpan]) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    resource_before = scope_before = None
    for resource_spans, scope_spans, span in entries:
        if resource_spans is not resource_before:
            message.resource_spans.add(resource=resource_spans.resource, schema_url=resource_spans.schema_url)
        if scope_spans is not scope_before:
            message.resource_spans[-1].scope_spans.add(scope=scope_spans.scope, schema_url=scope_spans.schema_url)
        message.resource_spans[-1].scope_spans[-1].spans.append(span)
        resource_before, scope_before = resource_spans, scope_spans
    return message


def _request(entries: Sequence[_ScopedSpan], limit: int) -> Request:
    """Return a request; a single span that is too large is shortened."""
    message = _joined(entries)
    if message.ByteSize() > limit:
        message = shorten(message, limit)
    return Request(
        message.SerializeToString(), len(entries), sum(is_shortened(span) for *_, span in _scoped_spans(message))
    )
