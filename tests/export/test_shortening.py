"""What becomes of a span that alone is larger than a request may be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from runspan.export.encoding.shorten import shorten, truncate
from runspan.semconv.delivery_names import ORIGINAL_SIZE, SHORTENED
from tests.payload.test_schemas import problems

INPUT = "gen_ai.input.messages"
OUTPUT = "gen_ai.output.messages"
KEYS = {
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 1_500_000,
    "error.type": "TimeoutError",
    "langchain.run.id": "0198c5a0-0000-7000-8000-000000000000",
}


def to_any_value(value):
    """Return a value of OTLP's."""
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(to_any_value, value)))
    if isinstance(value, dict):
        entries = [KeyValue(key=key, value=to_any_value(each)) for key, each in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=entries))
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    return AnyValue() if value is None else AnyValue(**{kinds[type(value)]: value})


def to_tree(value):
    """Return what a value of OTLP's is in Python."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [to_tree(each) for each in value.array_value.values]
        case "kvlist_value":
            return {each.key: to_tree(each.value) for each in value.kvlist_value.values}
        case kind:
            return getattr(value, kind)


def a_span(attributes=(), **fields):
    span = Span(trace_id=bytes(16), span_id=b"12345678", name="chat", start_time_unix_nano=1, end_time_unix_nano=2)
    span.MergeFrom(Span(**fields))
    for key, value in {**dict(attributes)}.items():
        span.attributes.add(key=key).value.CopyFrom(to_any_value(value))
    return span


def an_event(name, **attributes):
    event = Span.Event(name=name)
    for key, value in attributes.items():
        event.attributes.add(key=key).value.CopyFrom(to_any_value(value))
    return event


def shortened(span, limit, resource=()):
    """Shorten a span, check what holds for all, and return it."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for key, value in dict(resource).items():
        resource_spans.resource.attributes.add(key=key).value.CopyFrom(to_any_value(value))
    resource_spans.scope_spans.add().spans.append(span)
    body = shorten(request, limit).SerializeToString()
    assert len(body) <= limit
    ((of_scope,),) = ([*each.scope_spans] for each in ExportTraceServiceRequest.FromString(body).resource_spans)
    (short,) = of_scope.spans
    assert (short.trace_id, short.span_id) == (span.trace_id, span.span_id)
    assert (short.start_time_unix_nano, short.end_time_unix_nano) == (1, 2)
    assert attributes_of(short)[ORIGINAL_SIZE] == span.ByteSize()
    return short


def attributes_of(span):
    return {attribute.key: to_tree(attribute.value) for attribute in span.attributes}


def messages(*texts):
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]} for text in texts])


def texts_in(written):
    return [part["content"] for message in json.loads(written) for part in message["parts"]]


def kept(cut, whole):
    """Return how much of a text is left, after checking that the note counts the rest."""
    beginning, _, note = cut.rpartition("… ")
    assert whole.startswith(beginning)
    assert note == f"[{len(whole) - len(beginning):,} characters left out]"
    return len(beginning)


def test_the_longest_texts_are_cut_and_keys_survive():
    """What is short stays whole, the long texts are cut to the same length, and the span names it."""
    span = a_span({**KEYS, INPUT: messages("Be brief.", "a" * 5_000, "b" * 9_000)})
    attributes = attributes_of(shortened(span, 4_000))
    assert {key: attributes[key] for key in KEYS} == KEYS
    first, second, third = texts_in(attributes[INPUT])
    assert first == "Be brief."
    assert kept(second, "a" * 5_000) == kept(third, "b" * 9_000) > 1_000
    assert attributes[SHORTENED] == [INPUT]


def test_most_of_the_limit_is_used():
    """Of a span of 6 MB nearly 4 MB are kept when so much may be sent."""
    text = 'She said: "naïve 漢字 😀"\n' * 200_000
    span = a_span({INPUT: messages(text), OUTPUT: messages("yes")})
    short = shortened(span, 4_000_000)
    assert short.ByteSize() > 3_900_000
    (cut,) = texts_in(attributes_of(short)[INPUT])
    assert kept(cut, text) > 2_500_000
    assert attributes_of(short)[OUTPUT] == messages("yes")


def test_messages_stay_messages():
    """What was cut still fits the conventions' schemas: roles and the types of parts stay."""
    parts = [
        {"type": "text", "content": "t" * 3_000},
        {"type": "reasoning", "content": "r" * 3_000},
        {"type": "tool_call", "id": "call-1", "name": "search", "arguments": {"query": "q" * 3_000}},
        {"type": "tool_call_response", "id": "call-1", "response": [{"text": "s" * 3_000}] * 9},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "A" * 3_000},
        {"type": "uri", "modality": "image", "uri": "https://a.example/" + "u" * 3_000},
    ]
    sent = [{"role": "user", "parts": parts}, {"role": "assistant", "parts": parts}] * 20
    tools = [{"type": "function", "name": f"tool {number}", "description": "d" * 300} for number in range(50)]
    for limit in (4_000, 8_000, 16_000, 64_000, 256_000):
        attributes = attributes_of(
            shortened(a_span({INPUT: json.dumps(sent), "gen_ai.tool.definitions": json.dumps(tools)}), limit)
        )
        written = {key: value for key, value in attributes.items() if key.startswith("gen_ai.")}
        assert INPUT in written
        assert problems(written) == []
        assert {each["role"] for each in json.loads(written[INPUT])} == {"user", "assistant"}


@pytest.mark.parametrize("text", ["1" * 9_000, "1 " * 4_000, '"' * 9_000, json.dumps("x" * 9_000), "{" * 9_000])
def test_what_resembles_json_is_cut_as_a_text(text):
    """A number, a broken document and a string of JSON keep their beginnings; the string stays one."""
    cut = attributes_of(shortened(a_span({"text": text}), 4_000))["text"]
    if text.startswith('"x'):
        cut, text = json.loads(cut), json.loads(text)
    assert kept(cut, text) > 1_000


def test_media_go_before_text():
    """Encoded media are left out, the largest first, before a text is cut; a data URL keeps its type."""
    parts = [
        {"type": "blob", "modality": "image", "content": "A" * 1_000},
        {"type": "blob", "modality": "image", "content": "B" * 9_000},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "C" * 8_000}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "D" * 7_000}},
        {"type": "text", "content": "t" * 2_000},
    ]
    span = a_span({INPUT: json.dumps([{"role": "user", "parts": parts}]), "flat.url": "data:a/b;base64," + "E" * 9_500})
    attributes = attributes_of(shortened(span, 6_000))
    assert attributes["flat.url"] == "data:a/b;base64,… [9,500 characters left out]"
    assert json.loads(attributes[INPUT])[0]["parts"] == [
        parts[0],
        {"type": "blob", "modality": "image", "content": "… [9,000 characters left out]"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,… [8,000 characters left out]"}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "… [7,000 characters left out]"},
        },
        parts[4],
    ]


def test_long_lists_lose_their_middle():
    """If short texts alone are too many, items in the middle go, and a note says how many."""
    many = {"ids": [str(number) for number in range(2_000)], "numbers": [*range(2_000)], "few": [1, 2, 3]}
    left = json.loads(attributes_of(shortened(a_span({OUTPUT: json.dumps(many)}), 3_000))[OUTPUT])
    assert left["few"] == [1, 2, 3]
    for name, note in (("ids", left["ids"]), ("numbers", left["numbers"])):
        (gap,) = (number for number, each in enumerate(note) if "left out" in str(each))
        assert note[gap] == f"… [{2_001 - len(note):,} items left out]"
        assert note[:gap] == many[name][:gap]
        assert note[gap + 1 :] == many[name][gap + 1 - len(note) :]
        assert len(note) > 60


def test_long_conversations_lose_their_middle():
    """Of many short messages the first and the last stay; the one before the gap says how many are missing."""
    written = attributes_of(shortened(a_span({INPUT: messages(*map(str, range(1_000)))}), 2_000))[INPUT]
    found = json.loads(written)
    left = texts_in(written)
    half = len(left) // 2
    assert left == [*map(str, range(len(left) - half)), *map(str, range(1_000 - half, 1_000))]
    assert half > 5
    (gap,) = (each["…"] for each in found if "…" in each)
    assert gap == f"[{1_000 - len(left)} items left out]"
    assert problems({INPUT: written}) == []


def test_an_object_of_thousands_of_keys_loses_its_middle():
    """The first and the last keys stay, and a note says how many are not there; smaller objects beside it are whole."""
    many = {f"key {number}": number for number in range(3_000)}
    short = shortened(a_span({OUTPUT: json.dumps([many, {"few": 1}]), **KEYS}), 3_000)
    assert {key: attributes_of(short)[key] for key in KEYS} == KEYS
    assert (attributes_of(short)[SHORTENED], short.dropped_attributes_count) == ([OUTPUT], 0)
    left, few = json.loads(attributes_of(short)[OUTPUT])
    assert few == {"few": 1}
    assert left.pop("…") == f"[{3_000 - len(left):,} items left out]"
    half = len(left) // 2
    assert [*left.values()] == [*range(len(left) - half), *range(3_000 - half, 3_000)]


def test_structured_values_stay_structured():
    """Texts in lists and maps of OTLP are cut where they stand."""
    value = [{"role": "user", "parts": [{"content": "x" * 5_000, "n": 7, "raw": "r"}]}, [0.5] * 3, True, None, -1]
    span = a_span({INPUT: value})
    span.attributes[0].value.array_value.values.add(bytes_value=b"1" * 2_000)
    short = attributes_of(shortened(span, 2_000))[INPUT]
    text = short[0]["parts"][0].pop("content")
    assert kept(text, "x" * 5_000) > 1_000
    assert short == [
        {"role": "user", "parts": [{"n": 7, "raw": "r"}]},
        [0.5, 0.5, 0.5],
        True,
        None,
        -1,
        "… [2,000 bytes left out]",
    ]


def test_a_long_stack_trace_leaves_content_alone():
    """It is what is large that is cut: an event's attribute, a name, a status, bytes, and each is named."""
    event = an_event("exception", **{"exception.type": "ValueError", "exception.stacktrace": "s" * 50_000})
    content = messages("c" * 1_000)
    span = a_span({INPUT: content}, events=[event], name="n" * 50_000)
    span.attributes.add(key="raw").value.bytes_value = b"r" * 50_000
    span.status.message = "m" * 50_000
    span.status.code = 2
    short = shortened(span, 40_000)
    attributes = attributes_of(short)
    assert attributes[INPUT] == content
    assert sorted(attributes[SHORTENED]) == ["exception.stacktrace", "name", "raw", "status.message"]
    assert attributes_of(short.events[0])["exception.type"] == "ValueError"
    assert kept(attributes_of(short.events[0])["exception.stacktrace"], "s" * 50_000) > 8_000
    assert kept(short.name, "n" * 50_000) > 8_000
    assert kept(short.status.message, "m" * 50_000) > 8_000
    assert short.status.code == 2


def test_too_many_events_and_links():
    """Those in the middle are dropped and counted, the first and the last stay."""
    events = [an_event(f"event {number}", text="e" * 10) for number in range(1_000)]
    links = [Span.Link(trace_id=bytes(16), span_id=number.to_bytes(8)) for number in range(1_000)]
    short = shortened(a_span(KEYS, events=events, links=links, dropped_events_count=3), 8_000)
    assert (short.events[0].name, short.events[-1].name) == ("event 0", "event 999")
    assert short.dropped_events_count == 3 + 1_000 - len(short.events)
    assert (short.links[0].span_id, short.links[-1].span_id) == (links[0].span_id, links[-1].span_id)
    assert short.dropped_links_count == 1_000 - len(short.links)
    assert sorted(attributes_of(short)[SHORTENED]) == ["events", "links"]
    assert {key: attributes_of(short)[key] for key in KEYS} == KEYS


def test_too_many_attributes():
    """The largest are dropped and counted; what says what the span is about is short and stays."""
    many = {f"key {number}": "v" * 1_000 for number in range(500)}
    short = shortened(a_span({**many, **KEYS}), 8_000)
    attributes = attributes_of(short)
    assert {key: attributes[key] for key in KEYS} == KEYS
    assert short.dropped_attributes_count == 500 + len(KEYS) + 2 - len(attributes)
    assert attributes[SHORTENED][-1].endswith(" more]")


def test_a_long_key_goes_with_its_value():
    """A key can't be cut, since it would be another one."""
    short = shortened(a_span({"k" * 9_000: 1, **KEYS}), 3_000)
    assert [*attributes_of(short)] == [*KEYS, SHORTENED, ORIGINAL_SIZE]
    assert attributes_of(short)[SHORTENED] == ["k" * 53 + "… [8,947 characters left out]"]
    assert short.dropped_attributes_count == 1


def test_a_large_resource():
    """The attributes of a resource are cut too, if they are the cause."""
    short = shortened(a_span(KEYS), 3_000, resource={"service.name": "shop", "process.command_line": "c" * 9_000})
    assert attributes_of(short)[SHORTENED] == ["process.command_line"]


def test_the_last_resort():
    """Where nothing that may be cut is the cause, where and when remain."""
    short = shortened(a_span(KEYS, trace_state="t" * 5_000, kind=3), 1_024, resource={"service.name": "shop"})
    assert attributes_of(short)[SHORTENED] == ["attributes", "events", "links", "resource"]
    assert (short.name, short.kind, short.dropped_attributes_count) == ("chat", 3, len(KEYS))


def test_shortened_again():
    """A second time the notes and the mark say what is missing of the span as it was at first."""
    span = a_span({INPUT: messages("a" * 90_000)})
    once = shortened(span, 50_000)
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.append(once)
    (twice,) = shorten(request, 3_000).resource_spans[0].scope_spans[0].spans
    attributes = attributes_of(twice)
    (text,) = texts_in(attributes[INPUT])
    assert attributes[ORIGINAL_SIZE] == span.ByteSize()
    assert attributes[SHORTENED] == [INPUT]
    assert kept(text, "a" * 90_000) > 1_500


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.sampled_from(["\\" * 99, "\x00é😀" * 50])


@given(TEXTS, st.integers(0, 200))
def test_texts_are_cut_between_characters(text, length):
    """A text that is too long becomes its beginning and a note; both fit, wherever the cut would fall."""
    short = truncate(text, length)
    if len(text) <= length:
        assert short == text
    else:
        assert len(short) <= max(length, 43)
        assert kept(short, text) == max(length - 43, 0)


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=9), inner, max_size=40),
    max_leaves=50,
)


@given(st.lists(JSONS, max_size=5) | st.dictionaries(st.text(max_size=9), JSONS, max_size=5), st.integers(1_024, 3_000))
def test_json_stays_json(tree, limit):
    """Whatever it is, JSON of which something is left out can be read, and what is structured stays so."""
    written = json.dumps(tree, ensure_ascii=False)
    span = a_span({INPUT: written, OUTPUT: tree, "text": "x" * 3_000})
    attributes = attributes_of(shortened(span, limit))
    if INPUT in attributes:
        assert type(json.loads(attributes[INPUT])) is type(tree)
    if OUTPUT in attributes:
        assert type(attributes[OUTPUT]) is type(tree)


HOSTILE = {
    "nested": {INPUT: "[" * 200_000 + "]" * 200_000},
    "many numbers": {INPUT: json.dumps([*range(60_000)])},
    "many empty lists": {INPUT: json.dumps([[[]]] * 60_000)},
    "many attributes": {f"key {number}": "v" * 100 for number in range(3_000)},
    "no spaces": {INPUT: messages("漢字😀" * 40_000), "text": "漢字😀" * 40_000},
    "half a character": {INPUT: '["\\ud83d' + "x" * 300_000 + '"]'},
    "control characters": {INPUT: json.dumps(["\x01" * 100_000])},
    "not quite JSON": {INPUT: '{"a": NaN, "b": "' + "x" * 300_000},
    "one string of JSON": {INPUT: json.dumps("x" * 300_000)},
    "a long name of a field": {INPUT: json.dumps({"k" * 300_000: 1})},
    "numbers and text": {INPUT: json.dumps([[1] * 90_000, "x" * 300_000])},
    "many structures": {INPUT: [{"a": [{"b": None}]}] * 9_000},
}


@pytest.mark.parametrize("limit", [1_024, 20_000, 100_000])
@pytest.mark.parametrize("attributes", HOSTILE.values(), ids=HOSTILE)
def test_hostile_spans_fit(attributes, limit):
    """Whatever makes a span too large, it fits in the end, and its keys are there."""
    short = attributes_of(shortened(a_span({**attributes, **KEYS}), limit))
    assert {key: short[key] for key in KEYS} == KEYS
