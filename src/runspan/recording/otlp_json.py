"""Recorded spans as lines of OTLP's JSON, which any tool for OTLP reads.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from runspan.attributes import Attributes
from runspan.recording.recorded_span import RecordedSpan

_NUMBERS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def otlp_line(span: RecordedSpan) -> bytes:
    """Return a request with one span; what ``RecordedSpan`` does not hold, such as the trace state, is not in it."""
    request = {
        "resource": {"attributes": _pairs(span.resource)},
        "scopeSpans": [{"scope": {"name": span.scope}, "spans": [_span(span)]}],
    }
    return orjson.dumps({"resourceSpans": [request]}) + b"\n"


def _span(span: RecordedSpan) -> dict[str, Any]:
    times = [*span.event_times_ns, *[span.start_ns] * len(span.events)]
    status = {} if span.error is None else {"code": Status.STATUS_CODE_ERROR, "message": span.error}
    return {
        "traceId": f"{span.trace_id:032x}",
        "spanId": f"{span.span_id:016x}",
        **({} if span.parent_id is None else {"parentSpanId": f"{span.parent_id:016x}"}),
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
                "traceId": f"{link.trace_id:032x}",
                "spanId": f"{link.span_id:016x}",
                "attributes": _pairs(link.attributes),
            }
            for link in span.links
        ],
        "status": status,
    }


def _pairs(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": "NaN" if math.isnan(value) else _NUMBERS.get(value, value)}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case Mapping():
            return {"kvlistValue": {"values": _pairs(value)}}
        case Sequence():
            return {"arrayValue": {"values": list(map(_value, value))}}
        case _:
            return {}
