"""Spans as messages of OTLP."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from google.protobuf.message import Error
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan

# A text that is no UTF-8, a value of a wrong type, an id or a number that is too large, values nested too deep.
_UNENCODABLE = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError, Error)


class Encoded(NamedTuple):
    """What encoding gave.

    Args:
        message: The spans that could be encoded.
        not_encodable: How many could not.
        reason: Why the first of those could not.
    """

    message: ExportTraceServiceRequest
    not_encodable: int = 0
    reason: str = ""


def encode(spans: Sequence[ReadableSpan]) -> Encoded:
    """Encode spans; one that can't be encoded leaves its neighbours in peace."""
    try:
        return Encoded(_encode(spans))
    except _UNENCODABLE:
        return _without_unencodable(spans)


def _without_unencodable(spans: Iterable[ReadableSpan]) -> Encoded:
    good: list[ReadableSpan] = []
    reasons: list[str] = []
    for span in spans:
        try:
            _encode([span])
        except _UNENCODABLE as error:
            reasons.append(f"{type(error).__name__}: {error}")
        else:
            good.append(span)
    return Encoded(_encode(good), len(reasons), reasons[0] if reasons else "")


def _encode(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    return encode_spans(spans)
