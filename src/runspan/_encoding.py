"""Spans as OTLP has them, also those that OpenTelemetry's encoder would lose or cut."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from google.protobuf.message import Error
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import AnyValue

from runspan.attributes import is_int64

# A text that is no UTF-8, a value of a wrong type, a number that is too large, values nested too deep.
_UNENCODABLE: Final = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError, Error)
# Protobuf reads 100 messages within each other; a list in a list is two of them.
_DEEPEST: Final = 40


def encode_repaired(spans: Sequence[ReadableSpan]) -> tuple[ExportTraceServiceRequest, list[str]]:
    """Encode spans, repaired where they must be; return the message, and for each span that is not in it why."""
    reasons: list[str] = []
    message = _encoded(spans)
    if message is None:
        message = encode_spans([*_repaired_where_needed(spans, reasons)])
    return message, reasons


def _encoded(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest | None:
    """Encode spans as OpenTelemetry does; None where that fails, or leaves out attributes, as it does in silence."""
    try:
        message = encode_spans(spans)
        message.SerializeToString()
    except _UNENCODABLE:
        return None
    encoded = (
        span
        for resource_spans in message.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    )
    return message if _attributes_in(encoded) == _attributes_in(spans) else None


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
