"""Spans as requests of OTLP, each small enough for its receiver."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError, Error
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import AnyValue

from runspan.attributes import is_int64
from runspan.export.encoding.shorten import is_shortened, shorten

# A text that is no UTF-8, a value of a wrong type, a number that is too large, values nested too deep.
_UNENCODABLE: Final = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError, Error)
# Tag and length before a field, at most.
_FRAME: Final = 6
# Protobuf reads 100 messages within each other; a list in a list is two of them.
_DEEPEST: Final = 40


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
    reasons: list[str] = []
    message = _encoded(spans)
    if message is None:
        message = encode_spans([*_repaired_where_needed(spans, reasons)])
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


def _encoded(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest | None:
    """Encode spans as OpenTelemetry does; None where that fails, or leaves out attributes, as it does in silence."""
    try:
        message = encode_spans(spans)
        message.SerializeToString()
    except _UNENCODABLE:
        return None
    return message if _attributes_in(span for *_, span in _scoped_spans(message)) == _attributes_in(spans) else None


def _attributes_in(spans: Iterable[ReadableSpan | Span]) -> int:
    return sum(len(owner.attributes or ()) for span in spans for owner in (span, *span.events))


def _repaired_where_needed(spans: Iterable[ReadableSpan], reasons: list[str]) -> Iterator[ReadableSpan]:
    """Return those that can be encoded, repaired where they must be; add why others can't."""
    for span in spans:
        try:
            copy = span if _encoded([span]) is not None else _repaired(span)
            encode_spans([copy]).SerializeToString()
        except _UNENCODABLE as error:
            reasons.append(f"{type(error).__name__}: {error}")
        else:
            yield copy


def _repaired(span: ReadableSpan) -> ReadableSpan:
    """Return a copy whose texts are UTF-8 and whose values are of OTLP's types; its times and ids are not looked at."""
    description = span.status.description
    return ReadableSpan(
        name=_text(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=[Event(_text(event.name), _attributes(event.attributes), event.timestamp) for event in span.events],
        links=[Link(link.context, _attributes(link.attributes)) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, _text(description) if description else None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(attributes: Mapping[str, AnyValue] | None) -> dict[str, AnyValue]:
    return {_text(key): _value(value, 1) for key, value in (attributes or {}).items()}


def _value(value: AnyValue, depth: int) -> AnyValue:
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes):
        if depth >= _DEEPEST:
            return "… [nested too deep]"
        if isinstance(value, Mapping):
            return {_text(key): _value(each, depth + 1) for key, each in value.items()}
        return [_value(each, depth + 1) for each in value]
    if type(value) is int and not is_int64(value):
        return str(value)
    return value if value is None or isinstance(value, int | float | bytes) else _text(value)


def _text(text: object) -> str:
    """Replace the halves of characters that stand alone, and join those that don't, by way of UTF-16."""
    if not isinstance(text, str):
        return f"<{type(text).__name__}>"
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
