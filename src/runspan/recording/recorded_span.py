"""A span as it was exported, from the SDK, from OTLP's messages or from its JSON."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status, TracesData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.types import AnyValue

from runspan.arguments import shown
from runspan.attributes import Attributes

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_SDK_KINDS: Final = {kind: Span.SpanKind.Value(f"SPAN_KIND_{kind.name}") for kind in SpanKind}


class RecordedLink(NamedTuple):
    """A link to another span, perhaps of another trace."""

    trace_id: int
    span_id: int
    attributes: Attributes


class RecordedSpan(NamedTuple):
    """A span as it was exported.

    Attributes may be nested: maps are dicts, arrays are lists. ``error`` is the description of the status, which may
    be empty, if that is an error. ``end_ns`` is 0 if the span had not ended. ``kind`` is OTLP's number.
    """

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    scope: str
    attributes: Attributes
    events: Sequence[tuple[str, Attributes]]
    error: str | None
    start_ns: int
    end_ns: int
    event_times_ns: Sequence[int] = ()
    links: Sequence[RecordedLink] = ()
    kind: int = 0
    resource: Attributes = MappingProxyType({})


def spans_of(item: object) -> Iterator[RecordedSpan]:
    """Yield the spans of an item.

    Raises:
        TypeError: if it is neither a span of the SDK nor an OTLP message of spans.
        ValueError: if a span of it has no ids.
    """
    match item:
        case ReadableSpan():
            yield _span_of_sdk(item)
        case TracesData() | ExportTraceServiceRequest():
            yield from chain.from_iterable(map(spans_of, item.resource_spans))
        case ResourceSpans():
            resource = _proto_mapping(item.resource.attributes)
            for of_scope in item.scope_spans:
                yield from (_span_of_proto(span, of_scope.scope.name, resource) for span in of_scope.spans)
        case _:
            raise TypeError(
                f"{shown(item)} is neither a span of OpenTelemetry's SDK nor an OTLP message of spans (TracesData,"
                " ExportTraceServiceRequest, ResourceSpans)."
            )


def _span_of_sdk(span: ReadableSpan) -> RecordedSpan:
    if span.context is None:
        raise ValueError(f"the span {span.name!r} has no ids; give spans that a tracer made.")
    return RecordedSpan(
        trace_id=span.context.trace_id,
        span_id=span.context.span_id,
        parent_id=span.parent.span_id if span.parent is not None else None,
        name=span.name,
        scope=span.instrumentation_scope.name if span.instrumentation_scope is not None else "",
        attributes=_sdk_mapping(span.attributes),
        events=[(event.name, _sdk_mapping(event.attributes)) for event in span.events],
        error=(span.status.description or "") if span.status.status_code is StatusCode.ERROR else None,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        event_times_ns=tuple(event.timestamp for event in span.events),
        links=tuple(
            RecordedLink(each.context.trace_id, each.context.span_id, _sdk_mapping(each.attributes))
            for each in span.links
        ),
        kind=_SDK_KINDS[span.kind],
        resource=_sdk_mapping(span.resource.attributes),
    )


def _sdk_mapping(attributes: Attributes | None) -> Attributes:
    return {key: _sdk_value(value) for key, value in (attributes or {}).items()}


def _sdk_value(value: AnyValue) -> AnyValue:
    match value:
        case str() | bytes():
            return value
        case Mapping():
            return _sdk_mapping(value)
        case Sequence():
            return [_sdk_value(item) for item in value]
        case _:
            return value


def _span_of_proto(span: Any, scope: str, resource: Attributes) -> RecordedSpan:
    return RecordedSpan(
        trace_id=_id(span.trace_id, _TRACE_ID_BYTES),
        span_id=_id(span.span_id, _SPAN_ID_BYTES),
        parent_id=_parent_id(span.parent_span_id),
        name=span.name,
        scope=scope,
        attributes=_proto_mapping(span.attributes),
        events=[(event.name, _proto_mapping(event.attributes)) for event in span.events],
        error=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        event_times_ns=tuple(event.time_unix_nano for event in span.events),
        links=tuple(
            RecordedLink(int.from_bytes(each.trace_id), int.from_bytes(each.span_id), _proto_mapping(each.attributes))
            for each in span.links
        ),
        kind=span.kind,
        resource=resource,
    )


def _proto_mapping(pairs: Any) -> Attributes:
    return {pair.key: _proto_value(pair.value) for pair in pairs}


def _proto_value(value: Any) -> AnyValue:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_proto_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _proto_mapping(value.kvlist_value.values)
        case kind:
            plain: AnyValue = getattr(value, kind)
            return plain


def spans_of_json(request: Any) -> Iterator[RecordedSpan]:
    """Yield the spans of a request that was read from OTLP's JSON; JSON of another shape raises all sorts of errors."""
    for of_resource in request.get("resourceSpans") or ():
        resource = _json_mapping((of_resource.get("resource") or {}).get("attributes"))
        for of_scope in of_resource.get("scopeSpans") or ():
            scope = str((of_scope.get("scope") or {}).get("name") or "")
            for span in of_scope.get("spans") or ():
                yield _span_of_json(span, scope, resource)


def _span_of_json(span: Any, scope: str, resource: Attributes) -> RecordedSpan:
    """Read a span by the rules of OTLP's JSON, which differ from protobuf's own: ids in hex, integers as strings.

    https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    status = span.get("status") or {}
    return RecordedSpan(
        trace_id=_id(bytes.fromhex(span["traceId"]), _TRACE_ID_BYTES),
        span_id=_id(bytes.fromhex(span["spanId"]), _SPAN_ID_BYTES),
        parent_id=_parent_id(bytes.fromhex(span.get("parentSpanId") or "")),
        name=str(span.get("name") or ""),
        scope=scope,
        attributes=_json_mapping(span.get("attributes")),
        events=[
            (str(event.get("name") or ""), _json_mapping(event.get("attributes"))) for event in span.get("events") or ()
        ],
        error=str(status.get("message") or "") if status.get("code") in _JSON_ERROR else None,
        start_ns=int(span.get("startTimeUnixNano") or 0),
        end_ns=int(span.get("endTimeUnixNano") or 0),
        event_times_ns=tuple(int(event.get("timeUnixNano") or 0) for event in span.get("events") or ()),
        links=tuple(
            RecordedLink(int(each["traceId"], 16), int(each["spanId"], 16), _json_mapping(each.get("attributes")))
            for each in span.get("links") or ()
        ),
        kind=_json_kind(span.get("kind")),
        resource=resource,
    )


def _json_kind(kind: Any) -> int:
    return Span.SpanKind.Value(kind) if isinstance(kind, str) else int(kind or 0)


_JSON_ERROR: Final = (Status.STATUS_CODE_ERROR, "STATUS_CODE_ERROR")


def _json_mapping(pairs: Any) -> Attributes:
    return {str(pair.get("key") or ""): _json_value(pair.get("value")) for pair in pairs or ()}


def _json_value(value: Any) -> AnyValue:
    for kind, content in (value or {}).items():
        if kind in _JSON_VALUES:
            return _JSON_VALUES[kind](content)
    return None


_JSON_VALUES: Final[dict[str, Callable[[Any], AnyValue]]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,  # NaN and the infinities are strings
    "bytesValue": base64.b64decode,
    "arrayValue": lambda array: [_json_value(item) for item in array.get("values") or ()],
    "kvlistValue": lambda pairs: _json_mapping(pairs.get("values")),
}


def _id(data: bytes, size: int) -> int:
    if len(data) != size:
        raise ValueError(f"an id of {len(data)} bytes instead of {size}")
    return int.from_bytes(data)


def _parent_id(data: bytes) -> int | None:
    return (_id(data, _SPAN_ID_BYTES) or None) if data else None
