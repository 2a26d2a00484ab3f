"""Spans as requests of OTLP, each small enough for its receiver."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError, Error
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import AnyValue

from runspan.export.encoding.shorten import is_shortened, shorten

# A text that is no UTF-8, a value of a wrong type, a number that is too large, values nested too deep.
_UNENCODABLE: Final = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError, Error)
# Tag and length before a field, at most.
_FRAME: Final = 6
# Protobuf reads 100 messages within each other; a list in a list is two of them.
_DEEPEST: Final = 40
_LARGEST_INTEGER: Final = 2**63


@dataclass(frozen=True, slots=True)
class Request:
    """An encoded ``ExportTraceServiceRequest`` on its way.

    https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-request

    Args:
        body: the message as protobuf, not compressed.
        spans: how many spans it holds.
        shortened: how many of them were made shorter to fit.
    """

    body: bytes = field(repr=False)
    spans: int
    shortened: int = 0


class Encoded(NamedTuple):
    """Spans on their way.

    Args:
        requests: what holds them, in their order; spans of one resource and scope stand together.
        not_encodable: how many spans OTLP can't express; they are in no request.
        reason: why the first of those is in none.
    """

    requests: list[Request]
    not_encodable: int = 0
    reason: str = ""


def encode(spans: Sequence[ReadableSpan], limit: int) -> Encoded:
    """Encode spans into requests of at most ``limit`` bytes each; a span that alone is larger is shortened."""
    reasons: list[str] = []
    message = _encoded(spans)
    if message is None:
        spans = [*_encodable(spans, reasons)]
        message = encode_spans(spans)
    requests = [*_fitting(message, len(spans), limit)] if spans else []
    return Encoded(requests, len(reasons), reasons[0] if reasons else "")


def split(request: Request, limit: int) -> list[Request]:
    """Make requests of at most ``limit`` bytes of one that is too large; one that can't be read stays as it is."""
    if len(request.body) <= limit:
        return [request]
    try:
        message = ExportTraceServiceRequest.FromString(request.body)
    except DecodeError:
        return [request]
    return [*_smaller(message, limit)]


def _fitting(message: ExportTraceServiceRequest, spans: int, limit: int) -> Iterator[Request]:
    body = message.SerializeToString()
    if len(body) <= limit:
        yield Request(body, spans)
    else:
        yield from _smaller(message, limit)


def _smaller(message: ExportTraceServiceRequest, limit: int) -> Iterator[Request]:
    filling = _Filling(limit)
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if not filling.add(resource_spans, scope_spans, span):
                    yield filling.request()
                    filling = _Filling(limit)
                    filling.add(resource_spans, scope_spans, span)
    if filling.spans:
        yield filling.request()


class _Filling:
    """A request that takes spans until the next one would make it too large."""

    def __init__(self, limit: int) -> None:
        self.spans = 0
        self._limit = limit
        self._message = ExportTraceServiceRequest()
        self._size = self._shortened = 0
        self._resource_spans: ResourceSpans | None = None
        self._scope_spans: ScopeSpans | None = None

    def add(self, resource_spans: ResourceSpans, scope_spans: ScopeSpans, span: Span) -> bool:
        """Take a span with its resource and scope; tell if there was no room. An empty request takes any span."""
        heads = ExportTraceServiceRequest()
        if resource_spans is not self._resource_spans:
            heads.resource_spans.add(resource=resource_spans.resource, schema_url=resource_spans.schema_url)
        scope_head = ScopeSpans(scope=scope_spans.scope, schema_url=scope_spans.schema_url)
        is_new_scope = bool(heads.resource_spans) or scope_spans is not self._scope_spans
        size = 3 * _FRAME + span.ByteSize() + heads.ByteSize() + (scope_head.ByteSize() if is_new_scope else 0)
        if self.spans and self._size + size > self._limit:
            return False
        self._message.MergeFrom(heads)
        if is_new_scope:
            self._message.resource_spans[-1].scope_spans.append(scope_head)
        self._message.resource_spans[-1].scope_spans[-1].spans.append(span)
        self._resource_spans, self._scope_spans = resource_spans, scope_spans
        self._size += size
        self.spans += 1
        self._shortened += is_shortened(span)
        return True

    def request(self) -> Request:
        """Return the request; a single span that is too large is shortened."""
        body = self._message.SerializeToString()
        if len(body) <= self._limit:
            return Request(body, self.spans, self._shortened)
        return Request(shorten(self._message, self._limit).SerializeToString(), 1, 1)


def _encoded(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest | None:
    """Encode spans as OpenTelemetry does; None where that fails, or leaves out attributes, as it does in silence."""
    try:
        message = encode_spans(spans)
        message.SerializeToString()
    except _UNENCODABLE:
        return None
    return message if _attributes_in(message) == _attributes_of(spans) else None


def _encodable(spans: Sequence[ReadableSpan], reasons: list[str]) -> Iterator[ReadableSpan]:
    """Return those that can be encoded, repaired where they must be; add why others can't."""
    for span in spans:
        if _encoded([span]) is not None:
            yield span
            continue
        try:
            copy = _repaired(span)
            encode_spans([copy]).SerializeToString()
        except _UNENCODABLE as error:
            reasons.append(f"{type(error).__name__}: {error}")
        else:
            yield copy


def _attributes_of(spans: Sequence[ReadableSpan]) -> int:
    return sum(len(span.attributes or ()) + sum(len(event.attributes or ()) for event in span.events) for span in spans)


def _attributes_in(message: ExportTraceServiceRequest) -> int:
    return sum(
        len(span.attributes) + sum(len(event.attributes) for event in span.events)
        for of_resource in message.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    )


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
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping | Sequence) and not isinstance(value, bytes):
        if depth >= _DEEPEST:
            return "… [nested too deep]"
        if isinstance(value, Mapping):
            return {_text(key): _value(each, depth + 1) for key, each in value.items()}
        return [_value(each, depth + 1) for each in value]
    if isinstance(value, int) and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        return str(value)
    return value if value is None or isinstance(value, int | float | bytes) else f"<{type(value).__name__}>"


def _text(text: object) -> str:
    """Replace the halves of characters that stand alone, and join those that don't, by way of UTF-16."""
    if not isinstance(text, str):
        return f"<{type(text).__name__}>"
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
