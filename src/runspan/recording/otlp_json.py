"""Recorded spans as lines of OTLP's JSON, which any tool for OTLP reads.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from runspan.attributes import Attributes
from runspan.recording.recorded_span import RecordedSpan

_NUMBERS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def otlp_line(span: RecordedSpan) -> bytes:
    """Return a request with one span; what ``RecordedSpan`` does not hold, such as the trace state, is not in it."""
    return orjson.dumps({"resourceSpans": [_resource_spans(span, bytes.hex)]}) + b"\n"


def otlp_request(spans: Iterable[RecordedSpan]) -> ExportTraceServiceRequest:
    """Return a request with spans, as ``otlp_line`` has each."""
    found = {"resourceSpans": [_resource_spans(span, _base64) for span in spans]}  # protobuf's own JSON has no hex
    return ParseDict(found, ExportTraceServiceRequest())


def _resource_spans(span: RecordedSpan, text: Callable[[bytes], str]) -> dict[str, Any]:
    return {
        "resource": {"attributes": _pairs(span.resource)},
        "scopeSpans": [{"scope": {"name": span.scope}, "spans": [_span(span, text)]}],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _span(span: RecordedSpan, text: Callable[[bytes], str]) -> dict[str, Any]:
    times = [*span.event_times_ns, *[span.start_ns] * len(span.events)]
    status = {} if span.error is None else {"code": Status.STATUS_CODE_ERROR, "message": span.error}
    return {
        "traceId": text(span.trace_id.to_bytes(16)),
        "spanId": text(span.span_id.to_bytes(8)),
        **({} if span.parent_id is None else {"parentSpanId": text(span.parent_id.to_bytes(8))}),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _pairs(span.attributes),
        "events": [
            {"timeUnixNano": str(at), "name": name, "attributes": _pairs(attributes)}
            for (name, attributes), at in zip(span.events, times, strict=False)
        ],
        "links": [
            {
                "traceId": text(link.trace_id.to_bytes(16)),
                "spanId": text(link.span_id.to_bytes(8)),
                "attributes": _pairs(link.attributes),
            }
            for link in span.links
        ],
        "status": status,
    }


def _pairs(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: object) -> dict[str, Any]:
    # A bool is an int to Python, and a text a sequence, so these come first.
    return next((write(value) for kind, write in _WRITERS if isinstance(value, kind)), {})


_WRITERS: Final[tuple[tuple[type, Callable[[Any], dict[str, Any]]], ...]] = (
    (bool, lambda value: {"boolValue": value}),
    (int, lambda value: {"intValue": str(value)}),
    (float, lambda value: {"doubleValue": "NaN" if math.isnan(value) else _NUMBERS.get(value, value)}),
    (str, lambda value: {"stringValue": value}),
    (bytes, lambda value: {"bytesValue": _base64(value)}),
    (Mapping, lambda value: {"kvlistValue": {"values": _pairs(value)}}),
    (Sequence, lambda value: {"arrayValue": {"values": [_value(each) for each in value]}}),
)
