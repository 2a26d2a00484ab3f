"""Recorded spans: read from files or objects, and put back into the order in which they happened.

A file is what the Collector's file exporter writes without compression. In JSON each line is one request. In protobuf
(``format: proto``) each request follows its length: 4 bytes, the highest first. One bare request is read too.
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/fileexporter
"""

import base64
import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, NoReturn

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Status, TracesData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from opentelemetry.util.types import AnyValue

from runspan.arguments import shown
from runspan.attributes import Attributes

_logger = logging.getLogger("runspan")

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_LENGTH_BYTES: Final = 4
# A request in protobuf begins with the tag of its first ``resource_spans``.
_TAG: Final = b"\n"
# Not just any white space before the brace: ``\n{\n`` may be a request in protobuf.
_JSON: Final = re.compile(rb'\{|\s+\{"')
_COMPRESSED: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}
# What JSON of another shape runs into.
_WRONG_SHAPE: Final = (AttributeError, KeyError, TypeError, ValueError, RecursionError)


class RecordedSpan(NamedTuple):
    """A span as it was exported.

    Attributes may be nested: maps are dicts, arrays are lists. ``error`` is the description of the status, which may
    be empty, if that is an error. ``end_ns`` is 0 if the span had not ended.
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


def read_recording(source: str | os.PathLike[str] | Iterable[object]) -> list[RecordedSpan]:
    """Read spans; one that is there twice, as after a repeated export, is read once.

    What a file that was cut ends with is left out, with a warning. Lines of JSON without spans, such as logs, are
    passed over.

    Args:
        source: a path, or spans: the SDK's, or OTLP messages (``TracesData``, ``ExportTraceServiceRequest``,
            ``ResourceSpans``).

    Raises:
        ValueError: names the file and the line or byte where it is broken, or why it can't be read at all.
        TypeError: names the value that is no span, or no recording.
        OSError: the file can't be opened.
    """
    if isinstance(source, str | os.PathLike):
        spans = _spans_of_file(Path(source))
    elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray):
        spans = chain.from_iterable(map(_spans_of, source))
    else:
        raise TypeError(f"recording is {shown(source)}; give the path of a file of OTLP, or a list of spans.")
    return list({(span.trace_id, span.span_id): span for span in spans}.values())


def in_order(spans: Iterable[RecordedSpan]) -> Iterator[tuple[Literal["start", "end"], RecordedSpan]]:
    """Yield the starts and ends of spans in the order of time, over all traces; what has no end only starts.

    At one and the same time parents start before their children and end after them, and a span ends before its next
    sibling starts. Where clocks disagree, so that a child is outside of its parent's time, time counts.
    """
    yield from sorted(_nested(spans), key=lambda moment: _time(*moment))


def _time(edge: str, span: RecordedSpan) -> int:
    return span.start_ns if edge == "start" else max(span.start_ns, span.end_ns)


def _nested(spans: Iterable[RecordedSpan]) -> Iterator[tuple[Literal["start", "end"], RecordedSpan]]:
    """Yield starts and ends as the trees are nested, siblings by time; roots are those whose parent is missing."""
    ordered = sorted(spans, key=lambda span: (span.start_ns, span.end_ns or math.inf))
    known = {(span.trace_id, span.span_id) for span in ordered}
    children: dict[tuple[int, int] | None, list[RecordedSpan]] = {None: []}
    for span in ordered:
        parent = None if span.parent_id is None else (span.trace_id, span.parent_id)
        children.setdefault(parent if parent in known else None, []).append(span)
    while children:  # the roots; then, in a broken recording, cycles of parents
        waiting: list[tuple[Literal["start", "end"], RecordedSpan]]
        waiting = [("start", span) for span in reversed(children.pop(next(iter(children))))]
        while waiting:
            edge, span = waiting.pop()
            if edge == "start" or span.end_ns:
                yield edge, span
            if edge == "start":
                waiting.append(("end", span))
                below = children.pop((span.trace_id, span.span_id), [])
                waiting += (("start", child) for child in reversed(below))


def _spans_of_file(path: Path) -> Iterator[RecordedSpan]:
    with path.open("rb") as file:
        head = file.peek()
        for magic, compression in _COMPRESSED.items():
            if head.startswith(magic) or head[_LENGTH_BYTES:].startswith(magic):
                raise ValueError(
                    f"{path} is compressed with {compression}; decompress it, or write it without compression."
                )
        if _JSON.match(head):
            yield from _spans_of_lines(file, path)
        elif head.startswith(_TAG):
            yield from _spans_of_request(file.read(), path, 0)
        elif head[_LENGTH_BYTES:].startswith(_TAG) or len(head) <= _LENGTH_BYTES:
            yield from _spans_of_frames(file, path)
        else:
            raise ValueError(
                f"{path} is no recording of spans; give a file that the Collector's file exporter wrote, OTLP as JSON"
                " lines or as protobuf."
            )


def _spans_of_lines(file: BufferedReader, path: Path) -> Iterator[RecordedSpan]:
    for number, line in enumerate(file, 1):
        try:
            yield from list(_spans_of_json(orjson.loads(line))) if line.strip() else ()
        except _WRONG_SHAPE as error:
            if isinstance(error, orjson.JSONDecodeError) and not line.endswith(b"\n"):
                _warn_of_cut(path, f"line {number}")
            else:
                _raise_broken(path, f"line {number}", error)


def _spans_of_frames(file: BufferedReader, path: Path) -> Iterator[RecordedSpan]:
    size = os.fstat(file.fileno()).st_size
    while header := file.read(_LENGTH_BYTES):
        start = file.tell()
        length = int.from_bytes(header)
        if len(header) < _LENGTH_BYTES or length > size - start:
            _warn_of_cut(path, f"byte {start - len(header)}")
            return
        yield from _spans_of_request(file.read(length), path, start)


def _spans_of_request(data: bytes, path: Path, start: int) -> Iterator[RecordedSpan]:
    try:
        yield from list(_spans_of(TracesData.FromString(data)))
    except (DecodeError, ValueError) as error:
        _raise_broken(path, f"byte {start}", error)


def _warn_of_cut(path: Path, position: str) -> None:
    _logger.warning(
        "%s ends in the middle of a request, at %s; the spans of that request are left out.", path, position
    )


def _raise_broken(path: Path, position: str, error: Exception) -> NoReturn:
    reason = f"{type(error).__name__}: {error}"
    raise ValueError(
        f"{path} is broken at {position}: not a whole OTLP request of spans ({reason}). Take it out, or record again."
    ) from error


def _spans_of(item: object) -> Iterator[RecordedSpan]:
    match item:
        case ReadableSpan():
            yield _span_of_sdk(item)
        case TracesData() | ExportTraceServiceRequest():
            yield from chain.from_iterable(map(_spans_of, item.resource_spans))
        case ResourceSpans():
            for of_scope in item.scope_spans:
                yield from (_span_of_proto(span, of_scope.scope.name) for span in of_scope.spans)
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


def _span_of_proto(span: Any, scope: str) -> RecordedSpan:
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


def _spans_of_json(request: Any) -> Iterator[RecordedSpan]:
    for of_resource in request.get("resourceSpans") or ():
        for of_scope in of_resource.get("scopeSpans") or ():
            scope = str((of_scope.get("scope") or {}).get("name") or "")
            for span in of_scope.get("spans") or ():
                yield _span_of_json(span, scope)


def _span_of_json(span: Any, scope: str) -> RecordedSpan:
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
    )


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
