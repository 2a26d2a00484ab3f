"""Headers out of what is current, and what is current out of headers."""

import asyncio
import contextlib
from email.message import Message

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry import context as otel
from starlette.datastructures import Headers as StarletteHeaders

import runspan
from tests.fakes import body

TRACEPARENT = "00-00000000000000000000000000000abc-0000000000000def-01"
HEADERS = {"traceparent": TRACEPARENT, "tracestate": "vendor=1", "baggage": "tenant=acme"}


def current():
    """Return the trace id and the baggage of this moment."""
    return trace.get_current_span().get_span_context().trace_id, dict(baggage.get_all())


def test_a_run_is_injected(tracing):
    """Within a run the headers are those of its span, besides what the carrier has."""
    carried = []
    body(tracing, "one", lambda x: carried.append(runspan.inject({"x": "y"}))).invoke(1, tracing.config)
    span = tracing.one("one").context
    assert carried == [
        {"x": "y", "traceparent": f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"}
    ]


def test_attributes_that_are_propagated(tracing):
    """What a handler propagates is in the baggage of the headers."""
    handler = runspan.OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, attributes={"tenant": "acme"}, propagate=["tenant"]
    )
    carried = []
    body(tracing, "one", lambda x: carried.append(runspan.inject({}))).invoke(1, {"callbacks": [handler]})
    assert carried[0]["baggage"] == "tenant=acme"


@pytest.mark.parametrize(
    "headers",
    [
        HEADERS,
        {name.upper(): value.encode() for name, value in HEADERS.items()},
        {name.title(): [value] for name, value in HEADERS.items()},
    ],
    ids=["texts", "bytes", "lists"],
)
def test_a_block_goes_on_with_a_trace(tracing, headers):
    """What runs in the block is below the span of the headers, with its state and baggage; what follows is not."""
    found = []
    chain = body(tracing, "one", lambda x: found.append(current()))
    with runspan.extract(headers):
        chain.invoke(1, tracing.config)
        chain.invoke(1, tracing.config)
    chain.invoke(1, tracing.config)
    assert found[:2] == [(0xABC, {"tenant": "acme"})] * 2
    assert found[2][1] == {}
    first, second, third = tracing.named("one")
    assert {(each.parent.span_id, each.parent.is_remote) for each in (first, second)} == {(0xDEF, True)}
    assert first.parent.trace_state.get("vendor") == "1"
    assert third.parent is None


def test_what_is_injected_can_be_extracted():
    """Headers that go in come out the same."""
    with runspan.extract(HEADERS):
        assert runspan.inject({}) == HEADERS


def message_of(headers):
    """Return headers as ``http.server`` and mail have them."""
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


@pytest.mark.parametrize(
    "headers",
    [
        message_of(HEADERS),
        StarletteHeaders(HEADERS),
        httpx.Headers(HEADERS),
    ],
    ids=lambda headers: type(headers).__name__,
)
def test_headers_of_any_framework(headers):
    """The headers of a request are extracted as its framework has them, also where that is no mapping."""
    with runspan.extract(headers):
        assert runspan.inject({}) == HEADERS


def test_several_headers_of_one_name():
    """Baggage and trace state that come in several headers are read together."""
    pairs = [("traceparent", TRACEPARENT), ("tracestate", "a=1"), ("tracestate", "b=2"), ("baggage", "c=3")]
    with runspan.extract(StarletteHeaders(raw=[(n.encode(), v.encode()) for n, v in [*pairs, ("Baggage", "d=4")]])):
        assert runspan.inject({}) == {"traceparent": TRACEPARENT, "tracestate": "a=1,b=2", "baggage": "c=3,d=4"}


@pytest.mark.newest
def test_headers_of_flask():
    """A view of Flask extracts the headers of its request as they are."""
    import flask  # not among the lowest packages

    app = flask.Flask(__name__)

    @app.get("/")
    def view():
        with runspan.extract(flask.request.headers):
            return runspan.inject({})

    assert app.test_client().get("/", headers=HEADERS).json == HEADERS


@pytest.mark.newest
def test_fastapi_has_extracted_already(tracing):
    """FastAPI continues the trace of a request by itself, so a run is below its spans with nothing written."""
    from fastapi import FastAPI  # not among the lowest packages
    from fastapi.testclient import TestClient

    app = FastAPI(telemetry={"tracer_provider": tracing.provider})

    @app.get("/")
    async def view():
        await body(tracing, "one", lambda x: x).ainvoke(1, tracing.config)

    TestClient(app).get("/", headers=HEADERS)
    request, endpoint = tracing.one("GET /"), tracing.one("fastapi.endpoint")
    assert (request.parent.span_id, request.parent.is_remote) == (0xDEF, True)
    assert endpoint.parent.span_id == request.context.span_id
    assert tracing.one("one").parent.span_id == endpoint.context.span_id


@pytest.mark.parametrize("headers", [None, {}, {"traceparent": "00-0-0-00"}, {"traceparent": 5, "other": b"x"}])
def test_unusable_headers_change_nothing(tracing, headers):
    """Without usable headers the block is as the code around it."""
    with tracing.span("around") as span, runspan.extract(headers):
        assert trace.get_current_span() is span
    tracing.settle()


@given(
    st.dictionaries(
        st.sampled_from(["traceparent", "tracestate", "baggage", "Traceparent", "x"]),
        st.none() | st.text() | st.binary() | st.lists(st.text()) | st.integers(),
    )
)
def test_hostile_headers(headers):
    """Whatever a message brings, the block begins and ends, and nothing of it stays."""
    before = otel.get_current()
    with runspan.extract(headers):
        runspan.inject({})
    assert current() == (0, {})
    assert dict(otel.get_current()) == dict(before)


@pytest.mark.parametrize("carrier", ["traceparent", 5, dict, [("traceparent", TRACEPARENT)]])
def test_a_carrier_that_is_none(carrier):
    """A carrier of another kind is an error that says what to give."""
    with pytest.raises(TypeError, match=r"carrier is .*; give a dictionary"):
        runspan.inject(carrier)
    with pytest.raises(TypeError, match=r"carrier is .*; give a mapping"), runspan.extract(carrier):
        pass


def test_a_block_in_a_block():
    """Of nested blocks the inner one counts, and the outer one again after it."""
    other = {"traceparent": TRACEPARENT.replace("abc", "123")}
    with runspan.extract(HEADERS):
        with runspan.extract(other):
            assert current()[0] == 0x123
        assert current()[0] == 0xABC
    assert current() == (0, {})


async def test_a_block_that_ends_in_another_task(caplog):
    """A generator that is closed elsewhere leaves the context there as it is, and logs nothing."""

    async def answers():
        with runspan.extract(HEADERS):
            yield current()[0]
            yield current()[0]

    stream = answers()
    assert await asyncio.create_task(anext(stream)) == 0xABC
    await asyncio.create_task(stream.aclose())
    assert current() == (0, {})
    assert caplog.records == []


def test_an_error_in_the_block():
    """An exception gets through, and the block has ended."""
    with contextlib.suppress(KeyError), runspan.extract(HEADERS):
        raise KeyError
    assert current() == (0, {})
