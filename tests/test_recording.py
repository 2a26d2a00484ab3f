import base64
import logging
import math
from pathlib import Path

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from runspan.recording.otlp_file import read_recording
from runspan.recording.recorded_span import RecordedSpan
from tests.tracing import Tracing

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C

# What the Collector's file exporter (0.159) wrote of two requests, in JSON and in protobuf.
JSON = (
    '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"lab"}}]},"scopeSpans":['
    '{"scope":{"name":"runspan"},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",'
    '"parentSpanId":"00f067aa0ba902b7","name":"chat","kind":3,"startTimeUnixNano":"1795393584960657871",'
    '"endTimeUnixNano":"1795393584960680093","attributes":[{"key":"gen_ai.usage.input_tokens","value":{"intValue":"12"'
    '}},{"key":"temperature","value":{"doubleValue":1}},{"key":"top_p","value":{"doubleValue":"Infinity"}},{"key":'
    '"stream","value":{"boolValue":false}},{"key":"raw","value":{"bytesValue":"AP8="}},{"key":"empty","value":{}},'
    '{"key":"reasons","value":{"arrayValue":{"values":[{"stringValue":"stop"},{},{"arrayValue":{}}]}}},{"key":"message'
    '","value":{"kvlistValue":{"values":[{"key":"role","value":{"stringValue":"user"}},{"key":"parts","value":'
    '{"kvlistValue":{}}}]}}}],"events":[{"timeUnixNano":"1795393584960670000","name":"exception","attributes":[{"key":'
    '"exception.type","value":{"stringValue":"é\\n"}}]}],"status":{"message":"refused","code":2}}]}]}]}\n'
    '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"lab"}}]},"scopeSpans":['
    '{"scope":{},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00f067aa0ba902b7","name":"chain",'
    '"kind":1,"startTimeUnixNano":"1795393584960582200","endTimeUnixNano":"1795393584972429398","status":{}}]}]}]}\n'
).encode()
PROTO = bytes.fromhex(
    "000001670ae40212c80212ba027a0b18021207726566757365645a2d1a1712050a03c3a90a0a0e657863657074696f6e2e747970"
    "651209657863657074696f6e09308998fff384ea184a1f1202180c0a1967656e5f61692e75736167652e696e7075745f746f6b65"
    "6e734a18120921000000000000f03f0a0b74656d70657261747572654a12120921000000000000f07f0a05746f705f704a0c1202"
    "10000a0673747265616d4a0b12043a0200ff0a037261774a0912000a05656d7074794a1b12102a0e0a060a0473746f700a000a02"
    "2a000a07726561736f6e734a2a121f321d0a0e12060a04757365720a04726f6c650a0b120232000a0570617274730a076d657373"
    "616765419db098fff384ea1839cf5998fff384ea1830032a0463686174220800f067aa0ba902b71208b7ad6b71692033310a100a"
    "f7651916cd43dd8448eb211c80319c0a090a0772756e7370616e0a170a1512050a036c61620a0c736572766963652e6e616d6500"
    "00005c0a5a123f123b7a004156f84b00f484ea1839383297fff384ea1830012a05636861696e2200120800f067aa0ba902b70a10"
    "0af7651916cd43dd8448eb211c80319c0a000a170a151205" + "0a036c61620a0c736572766963652e6e616d65"
)
FIRST_FRAME_BYTES = 4 + 0x167
CHAT = RecordedSpan(
    trace_id=TRACE_ID,
    span_id=0xB7AD6B7169203331,
    parent_id=0x00F067AA0BA902B7,
    name="chat",
    scope="runspan",
    attributes={
        "gen_ai.usage.input_tokens": 12,
        "temperature": 1.0,
        "top_p": math.inf,
        "stream": False,
        "raw": b"\x00\xff",
        "empty": None,
        "reasons": ["stop", None, []],
        "message": {"role": "user", "parts": {}},
    },
    events=[("exception", {"exception.type": "é\n"})],
    error="refused",
    start_ns=1795393584960657871,
    end_ns=1795393584960680093,
    event_times_ns=(1795393584960670000,),
    kind=3,
    resource={"service.name": "lab"},
)
CHAIN = RecordedSpan(
    trace_id=TRACE_ID,
    span_id=0x00F067AA0BA902B7,
    parent_id=None,
    name="chain",
    scope="",
    attributes={},
    events=[],
    error=None,
    start_ns=1795393584960582200,
    end_ns=1795393584972429398,
    kind=1,
    resource={"service.name": "lab"},
)
BARE = PROTO[4:FIRST_FRAME_BYTES]


@pytest.fixture
def write(tmp_path):
    """Write a recording; return its path."""

    def write(content: bytes) -> Path:
        path = tmp_path / "recording"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def warnings(caplog):
    """Return the texts of what was logged."""
    caplog.set_level(logging.WARNING, "runspan")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("content", [JSON, PROTO], ids=["json", "proto"])
@pytest.mark.parametrize("as_path", [str, Path])
def test_what_the_collector_writes(write, warnings, content, as_path):
    """JSON lines and length-prefixed protobuf are read whole, with every kind of value."""
    spans = read_recording(as_path(write(content)))
    assert spans == [CHAT, CHAIN]
    assert [[type(value) for value in span.attributes.values()] for span in spans] == [
        [int, float, float, bool, bytes, type(None), list, dict],
        [],
    ]
    assert warnings() == []


def test_one_bare_request(write):
    """A request in protobuf without a length before it is read, also one that begins as JSON might."""
    assert read_recording(write(BARE)) == [CHAT]
    unlucky = request(span("x" * 82)).SerializeToString()
    assert unlucky.startswith(b"\n{\x12")
    assert [each.name for each in read_recording(write(unlucky))] == ["x" * 82]


def test_nothing_recorded(write):
    """An empty file has no spans."""
    assert read_recording(write(b"")) == []


def test_a_missing_file(tmp_path):
    """A file that is not there is Python's own error."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_recording(tmp_path / "nowhere")


def test_lines_that_tell_of_no_spans(write):
    """Metrics and logs, which the exporter may write into the same file, and empty lines are passed over."""
    content = (
        b'{"resourceMetrics":[]}\n\n{"resourceLogs":[{"resource":{}}]}\r\n{"resourceSpans":[{"scopeSpans":[{}]}]}\n'
    )
    assert read_recording(write(content + JSON)) == [CHAT, CHAIN]
    assert read_recording(write(b"\n " + JSON)) == [CHAT, CHAIN]


def test_other_ways_to_write_json(write):
    """Numbers may be numbers, statuses names, ids upper case, and what is empty may be null or missing."""
    line = orjson.dumps(
        {
            "resourceSpans": [
                {
                    "scopeSpans": [
                        {
                            "scope": None,
                            "spans": [
                                {
                                    "traceId": "0AF7651916CD43DD8448EB211C80319C",
                                    "spanId": "B7AD6B7169203331",
                                    "parentSpanId": "0000000000000000",
                                    "startTimeUnixNano": 5,
                                    "attributes": [{"key": "n", "value": {"intValue": -7}}, {"key": "none"}],
                                    "events": None,
                                    "status": {"code": "STATUS_CODE_ERROR"},
                                }
                            ],
                        },
                        {"spans": None},
                    ]
                }
            ]
        }
    )
    assert read_recording(write(line)) == [
        RecordedSpan(TRACE_ID, 0xB7AD6B7169203331, None, "", "", {"n": -7, "none": None}, [], "", 5, 0)
    ]


def test_a_span_that_was_exported_twice(write):
    """A repeated export, as after a lost answer, gives its spans once."""
    assert read_recording(write(JSON + JSON)) == [CHAT, CHAIN]


@pytest.mark.parametrize("cut", [1, 200, len(JSON.splitlines()[1]) - 1])
def test_json_that_was_cut(write, warnings, cut):
    """The incomplete last line of a file is left out, with a warning that names file and line."""
    first, second = JSON.splitlines(keepends=True)
    path = write(first + second[:cut])
    assert read_recording(path) == [CHAT]
    assert warnings() == [f"{path} ends in the middle of a request, at line 2; the spans of that request are left out."]


def test_json_without_its_last_line_break(write, warnings):
    """A last line that is complete but for its line break is read."""
    assert read_recording(write(JSON[:-1])) == [CHAT, CHAIN]
    assert warnings() == []


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 0x5B + 4])
def test_protobuf_that_was_cut(write, warnings, cut):
    """The incomplete last message of a file is left out, with a warning that names file and byte."""
    path = write(PROTO[: FIRST_FRAME_BYTES + cut])
    assert read_recording(path) == [CHAT]
    assert warnings() == [
        f"{path} ends in the middle of a request, at byte 363; the spans of that request are left out."
    ]


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 100])
def test_protobuf_with_nothing_whole(write, warnings, cut):
    """A file that was cut in its first message has no spans."""
    path = write(PROTO[:cut])
    assert read_recording(path) == []
    assert warnings() == [f"{path} ends in the middle of a request, at byte 0; the spans of that request are left out."]


SPAN = b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1]', "JSONDecodeError: unexpected character, expected ',' or '}': line 1 column 8 (char 7)"),
        (b"5", "AttributeError: 'int' object has no attribute 'get'"),
        (b'{"resourceSpans":5}', "TypeError: 'int' object is not iterable"),
        (SPAN % b'{"spanId":"b7ad6b7169203331"}', "KeyError: 'traceId'"),
        (SPAN % b'{"traceId":"0af7"}', "ValueError: an id of 2 bytes instead of 16"),
        (
            SPAN % b'{"traceId":"xyz"}',
            "ValueError: non-hexadecimal number found in fromhex() arg at position 0",
        ),
    ],
)
@pytest.mark.newest
def test_a_broken_line(write, line, reason):
    """A line that is whole and no request is an error that names file, line and reason."""
    path = write(JSON + line + b"\n" + JSON)
    with pytest.raises(ValueError, match="is broken at line 3") as caught:
        read_recording(path)
    assert str(caught.value) == (
        f"{path} is broken at line 3: not a whole OTLP request of spans ({reason}). Take it out, or record again."
    )


def test_values_that_are_nested_too_deeply(write):
    """A value that is nested deeper than Python goes is an error like others, whatever stops it."""
    value = '{"arrayValue":{"values":[' * 300 + "{}" + "]}}" * 300
    line = f'{{"traceId":"{TRACE_ID:032x}","spanId":"b7ad6b7169203331","attributes":[{{"key":"a","value":{value}}}]}}'
    path = write(SPAN % line.encode() + b"\n")

    def deeper(levels):
        return read_recording(path) if levels == 0 else deeper(levels - 1)

    with pytest.raises(ValueError, match="is broken at line 1"):
        deeper(500)


@pytest.mark.parametrize("broken", [b"\n\xff\xff", b"\n\x08\x12\x06\x12\x04\n\x02ab"])
def test_a_broken_message(write, broken):
    """A message that is no protobuf, or whose ids are too short, is an error that names file and byte."""
    path = write(PROTO + len(broken).to_bytes(4, "big") + broken + PROTO)
    with pytest.raises(ValueError, match=r"recording is broken at byte 463: not a whole OTLP request of spans"):
        read_recording(path)
    path = write(broken)
    with pytest.raises(ValueError, match=r"recording is broken at byte 0: not a whole OTLP request of spans"):
        read_recording(path)


@pytest.mark.parametrize(
    ("content", "compression"),
    [
        (b"\x00\x00\x01\xfe(\xb5/\xfdd<\x03\x85\x0f\x00\xd2\xdc", "zstd"),
        (b"(\xb5/\xfdd<\x03\x85\x0f\x00\xd2\xdc", "zstd"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "gzip"),
    ],
)
def test_compressed_files(write, content, compression):
    """A compressed file, by message as the exporter does it or as a whole, is told apart from a broken one."""
    path = write(content)
    with pytest.raises(ValueError, match=compression) as caught:
        read_recording(path)
    assert str(caught.value) == (
        f"{path} is compressed with {compression}; decompress it, or write it without compression."
    )


@pytest.mark.parametrize("content", [b"hello world", b"[1, 2]", b"\x7fELF\x02\x01", b"trace_id,span_id\n"])
def test_something_else(write, content):
    """A file that is neither JSON lines nor protobuf is an error that says what is expected."""
    path = write(content)
    with pytest.raises(ValueError, match="recording") as caught:
        read_recording(path)
    assert str(caught.value) == (
        f"{path} is no recording of spans; give a file that the Collector's file exporter wrote, OTLP as JSON lines or"
        " as protobuf."
    )


def span(name: str, **fields) -> Span:
    return Span(trace_id=TRACE_ID.to_bytes(16, "big"), span_id=b"12345678", name=name, **fields)


def request(*spans: Span) -> ExportTraceServiceRequest:
    scope = InstrumentationScope(name="lab")
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(scope=scope, spans=spans)])])


def test_messages_as_a_source():
    """Each OTLP message that holds spans is read, and they may be mixed with the SDK's spans."""
    whole = TracesData.FromString(BARE)
    assert read_recording([whole]) == [CHAT]
    assert read_recording(iter([ExportTraceServiceRequest.FromString(BARE)])) == [CHAT]
    assert read_recording(whole.resource_spans) == [CHAT]
    tracing = Tracing()
    tracing.mark("sdk")
    assert [each.name for each in read_recording([*tracing.spans, whole])] == ["sdk", "chat"]


@pytest.mark.newest
def test_spans_of_the_sdk():
    """The SDK's spans read as the same spans do that were exported and recorded."""
    tracing = Tracing()
    attributes = {"n": (1, 2), "deep": {"list": ["a", {"b": b"c"}], "none": None}, "b": True, "f": 1.5}
    with tracing.span("outer") as outer, tracing.tracer.start_as_current_span("inner", attributes=attributes) as inner:
        inner.add_event("said", {"words": ("a", "b")})
        inner.set_status(StatusCode.ERROR)
        outer.set_status(StatusCode.ERROR, "no")
    inner, outer = read_recording(tracing.spans)
    assert inner.attributes == {"n": [1, 2], "deep": {"list": ["a", {"b": b"c"}], "none": None}, "b": True, "f": 1.5}
    assert (inner.events, inner.error) == ([("said", {"words": ["a", "b"]})], "")
    assert (inner.parent_id, outer.parent_id, outer.error) == (outer.span_id, None, "no")
    assert read_recording([encode_spans(tracing.spans)]) == [inner, outer]


def test_a_span_that_has_not_ended():
    """A live span of the SDK's is read without an end."""
    tracing = Tracing()
    with tracing.span("live") as live:
        (recorded,) = read_recording([live])
    assert (recorded.name, recorded.error, recorded.end_ns) == ("live", None, 0)
    assert recorded.start_ns > 0


@pytest.mark.parametrize("item", [None, 5, {"resourceSpans": []}, Span(), b"\n"])
def test_what_is_no_span(item):
    """Anything else among the spans is a TypeError that names it."""
    with pytest.raises(TypeError) as caught:
        read_recording([item])
    assert str(caught.value) == (
        f"{item!r} is neither a span of OpenTelemetry's SDK nor an OTLP message of spans (TracesData,"
        " ExportTraceServiceRequest, ResourceSpans)."
    )


def test_a_span_without_ids():
    """A span that no tracer made has no ids, which is said."""
    with pytest.raises(ValueError, match=r"^the span 'made' has no ids; give spans that a tracer made.$"):
        read_recording([ReadableSpan("made")])


texts = st.text(max_size=5)
values = st.recursive(
    st.builds(AnyValue)
    | st.builds(AnyValue, string_value=texts)
    | st.builds(AnyValue, bool_value=st.booleans())
    | st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1))
    | st.builds(AnyValue, double_value=st.floats())
    | st.builds(AnyValue, bytes_value=st.binary(max_size=5)),
    lambda inner: (
        st.builds(lambda items: AnyValue(array_value=ArrayValue(values=items)), st.lists(inner, max_size=3))
        | st.builds(
            lambda items: AnyValue(
                kvlist_value=KeyValueList(values=[KeyValue(key=key, value=value) for key, value in items.items()])
            ),
            st.dictionaries(texts, inner, max_size=3),
        )
    ),
    max_leaves=8,
)
attributes = st.dictionaries(texts, values, max_size=3).map(
    lambda pairs: [KeyValue(key=key, value=value) for key, value in pairs.items()]
)
times = st.integers(0, 2**64 - 1)
spans_of_otlp = st.builds(
    Span,
    trace_id=st.binary(min_size=16, max_size=16),
    span_id=st.binary(min_size=8, max_size=8),
    parent_span_id=st.just(b"") | st.binary(min_size=8, max_size=8),
    name=texts,
    attributes=attributes,
    events=st.lists(st.builds(Span.Event, name=texts, attributes=attributes), max_size=2),
    status=st.builds(Status, code=st.sampled_from([0, 1, 2]), message=texts),
    start_time_unix_nano=times,
    end_time_unix_nano=times,
)


def as_json(message: TracesData, *, numbered: bool) -> bytes:
    """Write a message as OTLP's JSON: as protobuf does, but for the ids."""
    data = MessageToDict(message, use_integers_for_enums=numbered)
    for each in (
        span
        for of_resource in data.get("resourceSpans", [])
        for of_scope in of_resource.get("scopeSpans", [])
        for span in of_scope.get("spans", [])
    ):
        each.update({key: base64.b64decode(each[key]).hex() for key in each if key.lower().endswith("id")})
    return orjson.dumps(data)


@settings(max_examples=40)
@given(st.lists(st.lists(spans_of_otlp, max_size=3), max_size=3), st.booleans())
def test_json_and_protobuf_read_equal(tmp_path_factory, requests, numbered):
    """Any spans read the same from JSON lines, from protobuf with lengths, and from the messages themselves."""
    messages = [
        TracesData(
            resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(scope=InstrumentationScope(name="é"), spans=spans)])]
        )
        for spans in requests
    ]
    folder = tmp_path_factory.getbasetemp()
    (folder / "json").write_bytes(b"".join(as_json(message, numbered=numbered) + b"\n" for message in messages))
    encoded = [message.SerializeToString() for message in messages]
    (folder / "proto").write_bytes(b"".join(len(data).to_bytes(4, "big") + data for data in encoded))
    # as text: NaN is not equal to itself
    assert repr(read_recording(folder / "json")) == repr(read_recording(messages))
    assert repr(read_recording(folder / "proto")) == repr(read_recording(messages))


@given(st.binary(max_size=30) | st.binary(max_size=30).map(lambda data: b"{" + data))
def test_any_bytes(tmp_path_factory, content):
    """Whatever a file holds, it is read, or refused by a ValueError that names it."""
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(content)
    try:
        message = repr(read_recording(path))
    except ValueError as error:
        message = str(error)
    assert message == "[]" or message.startswith(f"{path} is ")
