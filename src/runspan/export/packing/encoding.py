"""Spans as a message of OTLP."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from google.protobuf.message import Error
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan

from runspan.export.packing.repairing import repaired

# A text that is no UTF-8, a value of a wrong type, a number that is too large, values nested too deep.
_UNENCODABLE = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError, Error)


class Encoded(NamedTuple):
    """What encoding gave.

    Args:
        message: The spans that could be encoded.
        body: The same as bytes.
        not_encodable: How many could not.
        reason: Why the first of those could not.
    """

    message: ExportTraceServiceRequest
    body: bytes
    not_encodable: int = 0
    reason: str = ""


def encode(spans: Sequence[ReadableSpan]) -> Encoded:
    """Encode spans; where one can't be encoded as it is, only what is wrong in it is lost, or only that span."""
    try:
        encoded = _encode(spans)
    except _UNENCODABLE:
        return _one_by_one(spans)
    return encoded if _attributes_in(encoded.message) == _attributes_of(spans) else _one_by_one(spans)


def _one_by_one(spans: Iterable[ReadableSpan]) -> Encoded:
    encodable: list[ReadableSpan] = []
    reasons: list[str] = []
    for span in spans:
        try:
            encodable.append(_encodable(span))
        except _UNENCODABLE as error:
            reasons.append(f"{type(error).__name__}: {error}")
    encoded = _encode(encodable)
    return encoded._replace(not_encodable=len(reasons), reason=reasons[0]) if reasons else encoded


def _encodable(span: ReadableSpan) -> ReadableSpan:
    """Return a span, or a copy of it without what can't be encoded."""
    try:
        is_sound = _attributes_in(_encode([span]).message) == _attributes_of([span])
    except _UNENCODABLE:
        is_sound = False
    if is_sound:
        return span
    copy = repaired(span)
    _encode([copy])
    return copy


def _encode(spans: Sequence[ReadableSpan]) -> Encoded:
    message = encode_spans(spans)
    return Encoded(message, message.SerializeToString())


def _attributes_of(spans: Iterable[ReadableSpan]) -> int:
    """Count attributes: OpenTelemetry's encoder leaves out those that it can't encode, and goes on."""
    return sum(len(span.attributes or ()) + sum(len(event.attributes or ()) for event in span.events) for span in spans)


def _attributes_in(message: ExportTraceServiceRequest) -> int:
    return sum(
        len(span.attributes) + sum(len(event.attributes) for event in span.events)
        for of_resource in message.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    )
