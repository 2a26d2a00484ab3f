"""Spans in requests that are no larger than their receiver takes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from runspan.export.encoding.requests import Encoded, Request, encode, split
from runspan.semconv.delivery_names import ORIGINAL_SIZE, SHORTENED

SHOP = Resource({"service.name": "shop"}, "https://a.example/resource")
BANK = Resource({"service.name": "bank"})
OURS = InstrumentationScope("runspan", "1.0", "https://a.example/scope", {"a": 1})
THEIRS = InstrumentationScope("httpx")
INPUT = "gen_ai.input.messages"


def a_context(number):
    return SpanContext(1, number, is_remote=False)


def a_span(number, attributes=None, *, resource=SHOP, scope=OURS, **fields):
    fields.setdefault("name", f"span {number}")
    fields.setdefault("context", a_context(number))
    return ReadableSpan(
        attributes=attributes,
        resource=resource,
        instrumentation_scope=scope,
        start_time=number,
        end_time=number + 1,
        **fields,
    )


def groups(request):
    """Return what a request holds: resource, scope and names of spans."""
    message = ExportTraceServiceRequest.FromString(request.body)
    return [
        (
            of_resource.resource.attributes[0].value.string_value,
            of_scope.scope.name,
            [span.name for span in of_scope.spans],
        )
        for of_resource in message.resource_spans
        for of_scope in of_resource.scope_spans
    ]


def protos(requests):
    for request in requests:
        for of_resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            for of_scope in of_resource.scope_spans:
                yield from of_scope.spans


def attributes_of(span):
    return {attribute.key: attribute.value for attribute in span.attributes}


def alone(span):
    """Return how large a request of one span is."""
    return len(encode_spans([span]).SerializeToString())


def test_what_fits_is_one_request():
    """Spans that fit together are one request, exactly as OpenTelemetry encodes them."""
    spans = [a_span(1), a_span(2, scope=THEIRS), a_span(3, resource=BANK)]
    body = encode_spans(spans).SerializeToString()
    assert encode(spans, len(body)) == Encoded([Request(body, 3)])


def test_nothing():
    """No spans are no request."""
    assert encode([], 1_000) == Encoded([])


def test_what_does_not_fit_is_several():
    """Requests are filled one after the other; each names the resources and scopes of its spans."""
    spans = [
        *(a_span(number, {"text": "x" * 100}) for number in range(1, 5)),
        *(a_span(number, {"text": "x" * 100}, scope=THEIRS) for number in range(5, 7)),
        *(a_span(number, {"text": "x" * 100}, resource=BANK) for number in range(7, 9)),
    ]
    encoded = encode(spans, 600)
    assert [(request.spans, request.shortened) for request in encoded.requests] == [(2, 0), (2, 0), (2, 0), (2, 0)]
    assert [groups(request) for request in encoded.requests] == [
        [("shop", "runspan", ["span 1", "span 2"])],
        [("shop", "runspan", ["span 3", "span 4"])],
        [("shop", "httpx", ["span 5", "span 6"])],
        [("bank", "runspan", ["span 7", "span 8"])],
    ]
    assert all(len(request.body) <= 600 for request in encoded.requests)
    first = ExportTraceServiceRequest.FromString(encoded.requests[1].body).resource_spans[0]
    whole = encode_spans(spans[:1]).resource_spans[0]
    assert (first.resource, first.schema_url) == (whole.resource, whole.schema_url)
    assert first.scope_spans[0].scope == whole.scope_spans[0].scope
    assert first.scope_spans[0].schema_url == whole.scope_spans[0].schema_url


def test_a_large_span_leaves_its_neighbours_whole():
    """A span of 6 MB is shortened to nearly the limit; the spans beside it arrive as they are."""
    spans = [a_span(1), a_span(2, {INPUT: "é" * 3_000_000}), a_span(3)]
    encoded = encode(spans, 4_000_000)
    assert [(request.spans, request.shortened) for request in encoded.requests] == [(1, 0), (1, 1), (1, 0)]
    assert 3_900_000 < len(encoded.requests[1].body) <= 4_000_000
    first, large, last = protos(encoded.requests)
    whole = [*protos([Request(encode_spans(spans).SerializeToString(), 3)])]
    assert (first, last) == (whole[0], whole[2])
    assert attributes_of(large)[ORIGINAL_SIZE].int_value == whole[1].ByteSize()
    assert [value.string_value for value in attributes_of(large)[SHORTENED].array_value.values] == [INPUT]


def test_many_large_spans():
    """512 spans of 50 KB are as many requests as are needed, and none is shortened."""
    encoded = encode([a_span(number, {INPUT: "x" * 50_000}) for number in range(1, 513)], 4_000_000)
    assert [request.spans for request in encoded.requests] == [79, 79, 79, 79, 79, 79, 38]
    assert [request.shortened for request in encoded.requests] == [0] * 7


def test_the_limit_is_exact():
    """A span that alone takes just as much as is allowed stays whole; one byte less, and it is shortened."""
    span = a_span(1, {INPUT: "x" * 3_000})
    (request,) = encode([a_span(2), span], alone(span)).requests[1:]
    assert (len(request.body), request.shortened) == (alone(span), 0)
    (request,) = encode([span], alone(span) - 1).requests
    assert request.shortened == 1


def test_a_request_that_is_too_large_is_split():
    """Splitting an encoded request gives what packing its spans at once would have given."""
    spans = [a_span(number, {"text": "x" * 100 * number}, scope=[OURS, THEIRS][number % 2]) for number in range(1, 20)]
    (request,) = encode(spans, 1_000_000).requests
    assert split(request, 1_200) == encode(spans, 1_200).requests
    assert split(request, len(request.body)) == [request]


def test_spans_shortened_before_are_still_counted():
    """After splitting, each request says how many of its spans were shortened, then or before."""
    spans = [a_span(number, {"text": "x" * 3_000 * (number % 2)}) for number in range(1, 7)]
    bodies = [ExportTraceServiceRequest.FromString(request.body) for request in encode(spans, 2_000).requests]
    together = ExportTraceServiceRequest()
    for body in bodies:
        together.MergeFrom(body)
    pieces = split(Request(together.SerializeToString(), 6, 3), 2_000)
    assert sum(piece.shortened for piece in pieces) == 3
    again = split(Request(together.SerializeToString(), 6, 3), 1_500)
    assert [(piece.spans, piece.shortened) for piece in again] == [(1, 1), (1, 0)] * 3
    sizes = {
        attributes_of(span)[ORIGINAL_SIZE].int_value for span in protos(again) if ORIGINAL_SIZE in attributes_of(span)
    }
    assert sizes == {span.ByteSize() for span in encode_spans(spans[:1]).resource_spans[0].scope_spans[0].spans}


def test_a_damaged_request_stays_as_it_is():
    """What can't be read, such as from a damaged spool, is given back, so that it is refused and counted."""
    damaged = Request(b"\xff" * 2_000, 3)
    assert split(damaged, 1_000) == [damaged]


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("span", "repaired"),
    [
        (a_span(1, name="a\ud83d"), a_span(1, name="a\ufffd")),
        (a_span(1, name="a\ud83d\ude00"), a_span(1, name="a😀")),
        (a_span(1, name=5), a_span(1, name="<int>")),
        (
            a_span(1, status=Status(StatusCode.ERROR, "a\udc80")),
            a_span(1, status=Status(StatusCode.ERROR, "a\ufffd")),
        ),
        (a_span(1, {"a": "\ud83d", "\ud83d": 1}), a_span(1, {"a": "\ufffd", "\ufffd": 1})),
        (
            a_span(1, {"a": [2**63, {"b": object(), "c": [True, None, 0.5, b"d"]}]}),
            a_span(1, {"a": ["9223372036854775808", {"b": "<object>", "c": [True, None, 0.5, b"d"]}]}),
        ),
        (
            a_span(1, events=[Event("a\ud83d", {"b": "\ud83d"}, 7)], links=[Link(a_context(9), {"c": "d"})]),
            a_span(1, events=[Event("a\ufffd", {"b": "\ufffd"}, 7)], links=[Link(a_context(9), {"c": "d"})]),
        ),
        (a_span(1, events=[Event("e", {"b": "\ud83d"}, 7)]), a_span(1, events=[Event("e", {"b": "\ufffd"}, 7)])),
    ],
)
def test_what_can_t_be_encoded_is_repaired(span, repaired):
    """A text with half a character or a value of no type of OTLP's is replaced; all else in the span stays."""
    neighbour = a_span(2, {"text": "é"}, kind=SpanKind.CLIENT)
    assert encode([neighbour, span], 1_000_000) == encode([neighbour, repaired], 1_000_000)
    assert encode([neighbour, repaired], 1_000_000).not_encodable == 0


@pytest.mark.parametrize("depth", [47, 48, 49, 60])
def test_deep_values(depth):
    """Values nested deeper than protobuf reads don't take others along."""
    encoded = encode([a_span(1), a_span(2, {"deep": nested(depth), "model": "m"})], 1_000_000)
    assert encoded.not_encodable == 0
    assert ["model" in attributes_of(span) for span in protos(encoded.requests)] == [False, True]
    assert [len(span.attributes) for span in protos(encoded.requests)] == [0, 2]


def test_a_span_that_can_t_be_encoded():
    """It is counted, with the reason; the others go."""
    spans = [a_span(1), a_span(2, context=None), a_span(3)]
    encoded = encode(spans, 1_000_000)
    assert encoded == Encoded(
        encode([spans[0], spans[2]], 1_000_000).requests,
        1,
        "AttributeError: 'NoneType' object has no attribute 'trace_id'",
    )
    assert encode(spans[1:2], 1_000_000).requests == []


TEXTS = st.text(max_size=30) | st.integers(0, 4_000).map(lambda length: 'ab é\\"\n😀' * (length // 8))
VALUES = (
    TEXTS
    | TEXTS.map(lambda text: json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}]))
    | st.lists(st.integers(), max_size=300).map(json.dumps)
    | st.integers(-(2**63), 2**63 - 1)
    | st.lists(st.floats(allow_nan=False), max_size=300)
    | st.dictionaries(st.text(max_size=5), TEXTS, max_size=5)
    | st.binary(max_size=2_000)
)
ATTRIBUTES = st.dictionaries(st.sampled_from([INPUT, "input.value", "a", "b", "c"]) | st.text(max_size=9), VALUES)
SPANS = st.lists(
    st.builds(
        dict,
        name=TEXTS,
        attributes=ATTRIBUTES,
        events=st.lists(st.builds(Event, TEXTS, ATTRIBUTES, st.just(1)), max_size=3),
        links=st.lists(st.builds(Link, st.just(a_context(99)), ATTRIBUTES), max_size=2),
        status=st.builds(Status, st.just(StatusCode.ERROR), TEXTS),
        scope=st.sampled_from([OURS, THEIRS]),
        resource=st.sampled_from([SHOP, BANK, Resource({"text": "x" * 900})]),
    ),
    max_size=8,
)


@given(SPANS, st.integers(1_024, 20_000))
def test_whatever_comes(fields, limit):
    """Every span arrives once, in order within its scope, in requests that fit; those that fit alone are unchanged."""
    spans = [a_span(number, **each) for number, each in enumerate(fields, 1)]
    whole = [*protos(encode(spans, 2**31).requests)]
    requests = encode(spans, limit).requests
    assert all(len(request.body) <= limit for request in requests)
    arrived = [*protos(requests)]
    assert [span.span_id for span in arrived] == [span.span_id for span in whole]
    assert sum(request.spans for request in requests) == len(spans)
    sizes = {span.context.span_id.to_bytes(8): alone(span) for span in spans}
    for before, after in zip(whole, arrived, strict=True):
        is_small = sizes[before.span_id] <= limit
        assert (before.SerializeToString() == after.SerializeToString()) == is_small
        assert (SHORTENED in attributes_of(after)) != is_small
    check_json(whole, arrived)
    assert [piece for request in requests for piece in split(request, limit)] == requests


def check_json(whole, arrived):
    """Check that what was JSON is JSON."""
    for before, after in zip(whole, arrived, strict=True):
        was = attributes_of(before)
        for key, value in attributes_of(after).items():
            if key in was and is_json(was[key].string_value):
                assert is_json(value.string_value)


def is_json(text):
    try:
        return isinstance(json.loads(text), list)
    except json.JSONDecodeError:
        return False
