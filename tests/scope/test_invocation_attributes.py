"""Attributes of a call are on every span of its invocation, and by choice in the baggage; nowhere else."""

import asyncio
from types import SimpleNamespace

import pytest
from langchain_core.runnables import RunnableLambda
from opentelemetry import baggage
from opentelemetry import context as otel
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

import runspan
from runspan import OpenTelemetryCallbackHandler
from runspan.runs.baggage import RunBaggage
from tests.context.shapes import SHAPES
from tests.context.ways import WAYS, call
from tests.fakes import Model, body
from tests.recorders import Processor

(BAGGAGE,) = baggage.set_baggage("key", "value", Context())


def handler(tracing, **options):
    return OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, **options)


def told(tracing, name):
    return [span.attributes.get(name) for span in tracing.spans if span.name != "caller"]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("shape", ["sequence", "parallel", "sync_model_in_chain", "tool", "retriever"])
async def test_every_span_of_the_invocation(tracing, shape, way):
    """All spans within have the attributes, those of others too, and none before, after or beside."""
    tracing.handler = handler(tracing, attributes={"tenant": "acme", "tier": 2, "flags": ["a", "b"]})
    tracing.mark("caller")
    await call(way, tracing, SHAPES[shape](tracing))
    tracing.mark("caller")
    assert set(told(tracing, "tenant")) == {"acme"}
    assert set(told(tracing, "tier")) == {2}
    assert set(told(tracing, "flags")) == {("a", "b")}
    assert all("tenant" not in span.attributes for span in tracing.named("caller"))


def test_what_is_asked_for_wins(tracing):
    """The attributes of a call go over those that a span starts with; of two handlers' the inner one's."""
    inner = handler(tracing, attributes={"session.id": "inner", "only": "inner"})

    def work(_):
        return Model(tracing=tracing).invoke("?", {"callbacks": [inner]})

    outer = handler(tracing, attributes={"session.id": "outer"})
    RunnableLambda(work, name="work").invoke("x", {"callbacks": [outer], "metadata": {"session_id": "metadata"}})
    assert tracing.one("work").attributes["session.id"] == "outer"
    assert tracing.one("chat").attributes["session.id"] == "inner"
    assert "only" not in tracing.one("work").attributes


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_the_handlers_of_one_run_add_up(tracing, way):
    """Of two handlers of a run both set their attributes and add to the baggage, whichever starts it."""
    seen = []
    one = handler(tracing, attributes={"tenant": "acme", "one": 1}, propagate=["tenant", "one"])
    two = handler(tracing, attributes={"tenant": "globex", "two": 2}, propagate=["tenant", "two"])
    none = handler(tracing)
    tracing.handler = two
    tracing.driven_by_langchain = [none, one]
    work = RunnableLambda(lambda x: seen.append(sent()) or x, name="work")
    await call(way, tracing, SimpleNamespace(runnable=work, given="x"))
    assert set(seen) == {"tenant=globex,one=1,two=2"}
    assert [tracing.named("work")[0].attributes[name] for name in ("tenant", "one", "two")] == ["globex", 1, 2]
    assert sent() is None


def test_hostile_attributes_reach_every_exporter(tracing):
    """Halves of characters are replaced, in names, texts and lists: an exporter would lose a batch for one."""
    hostile = {"half": "a\ud800", "list": ["\udfff", "b"], "na\ud800me": 1}
    with runspan.invocation(attributes=hostile, propagate=["half"], tracer_provider=tracing.provider):
        tracing.mark("work")
        assert sent() == "half=a%EF%BF%BD"
    assert dict(tracing.one("work").attributes) == {"half": "a\ufffd", "list": ("\ufffd", "b"), "na\ufffdme": 1}
    assert encode_spans(tracing.spans).SerializeToString()


async def test_invocations_at_once(tracing):
    """Two invocations at once have each its own."""
    chains = [
        body(tracing, "chain").ainvoke("x", {"callbacks": [handler(tracing, attributes={"n": n})]}) for n in (1, 2)
    ]
    await asyncio.gather(*chains)
    by_trace = {}
    for span in tracing.spans:
        by_trace.setdefault(span.context.trace_id, set()).add(span.attributes["n"])
    assert sorted(map(sorted, by_trace.values())) == [[1], [2]]


def test_a_block(tracing):
    """Spans of a block have them; processors of the block find them set."""
    seen = []

    class Looking(Processor):
        def on_start(self, span, parent_context=None):
            seen.append(dict(span.attributes))

    with runspan.invocation(
        attributes={"tenant": "acme"}, span_processors=[Looking()], tracer_provider=tracing.provider
    ):
        tracing.mark("within")
    tracing.mark("after")
    assert seen == [{"tenant": "acme"}] == [dict(tracing.one("within").attributes)]
    assert "tenant" not in tracing.one("after").attributes


def sent(context=None):
    """Return the baggage header of a request that is made now."""
    carrier = {}
    W3CBaggagePropagator().inject(carrier, context)
    return carrier.get("baggage")


def test_baggage_is_off_by_default(tracing):
    """Without being asked nothing goes to other services."""
    found = []
    tracing.handler = handler(tracing, attributes={"tenant": "acme"})
    RunnableLambda(lambda x: found.append(sent()) or x).invoke("x", tracing.config)
    assert found == [None]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_baggage_is_there_within_and_nowhere_else(tracing, way):
    """What is allowed is in the baggage of what runs within, beside the caller's, which is alone after it."""
    found = []
    tracing.handler = handler(
        tracing, attributes={"tenant": "a b", "tier": 2, "secret": "x"}, propagate=["tenant", "tier"]
    )
    token = otel.attach(baggage.set_baggage("own", "1"))
    try:
        chain = body(tracing, "first") | RunnableLambda(lambda x: found.append(sent()) or x, name="asks")
        await call(way, tracing, SimpleNamespace(runnable=chain, given="x"))
        assert sent() == "own=1"
    finally:
        otel.detach(token)
    assert set(found) == {"own=1,tenant=a+b,tier=2"}


async def test_between_the_chunks_of_a_stream_the_baggage_is_the_callers(tracing):
    """Who reads a stream is not within the invocation."""
    tracing.handler = handler(tracing, attributes={"tenant": "acme"}, propagate=["tenant"])
    async for _ in Model().astream("?", tracing.config):
        assert sent() is None
    for _ in Model().stream("?", tracing.config):
        assert sent() is None


def test_baggage_is_a_dictionary_to_opentelemetry(tracing):
    """Every function of OpenTelemetry's finds it, in the run and in a copy of its context; a copy stays as it is."""
    found = {}

    def work(_):
        found["all"] = dict(baggage.get_all())
        found["one"] = baggage.get_baggage("tenant")
        found["more"] = dict(baggage.get_all(baggage.set_baggage("more", "1")))
        found["less"] = dict(baggage.get_all(baggage.remove_baggage("tenant")))
        found["none"] = dict(baggage.get_all(baggage.clear()))
        with runspan.invocation(attributes={"tenant": "b"}, propagate=["tenant"], tracer_provider=tracing.provider):
            found["inner"] = dict(baggage.get_all())
        found["after"] = "tenant" in baggage.get_all(), len(baggage.get_all()), list(baggage.get_all())

    RunnableLambda(work).invoke(
        "x", {"callbacks": [handler(tracing, attributes={"tenant": "a"}, propagate=("tenant",))]}
    )
    assert found == {
        "all": {"tenant": "a"},
        "one": "a",
        "more": {"tenant": "a", "more": "1"},
        "less": {},
        "none": {},
        "inner": {"tenant": "b"},
        "after": (True, 1, ["tenant"]),
    }
    assert dict(baggage.get_all()) == {}


def test_baggage_of_what_is_over_is_let_go(tracing):
    """A thousand invocations one after the other leave no chain of baggage behind."""
    tracing.handler = handler(tracing, attributes={"tenant": "acme"}, propagate=["tenant"])
    depths = []

    def depth(_):
        found, count = baggage.get_all() and otel.get_current()[BAGGAGE], 0
        while isinstance(found, RunBaggage):
            found, count = found.before, count + 1
        depths.append(count)

    for _ in range(1000):
        RunnableLambda(depth).invoke("x", tracing.config)
    assert set(depths) == {1}


def test_the_limits_are_kept_beside_the_callers_baggage(tracing):
    """Where W3C's limits would be exceeded together with the caller's baggage, that alone is sent."""
    found = []
    token = otel.attach(baggage.set_baggage("own", "x" * 4000, Context()))
    try:
        options = {"attributes": {"a": "y" * 4000, "b": "z" * 1000}, "propagate": ["a", "b"]}
        RunnableLambda(lambda _: found.append(set(baggage.get_all()))).invoke(
            "x", {"callbacks": [handler(tracing, **options)]}
        )
    finally:
        otel.detach(token)
    assert found == [{"own"}]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"attributes": "tenant"}, TypeError, r"attributes is 'tenant'; give a dictionary"),
        ({"attributes": {5: "x"}}, TypeError, r"attributes has 5 for a name"),
        ({"attributes": {"": "x"}}, TypeError, r"attributes has '' for a name"),
        ({"attributes": {"a": None}}, TypeError, r"attributes\['a'\] is None; give a text"),
        ({"attributes": {"a": {"b": 1}}}, TypeError, r"attributes\['a'\] is \{'b': 1\}"),
        ({"attributes": {"a": 2**63}}, ValueError, r"attributes\['a'\] is 9223372036854775808; OpenTelemetry holds"),
        ({"attributes": {"a": [1, "x"]}}, TypeError, r"attributes\['a'\] is \[1, 'x'\]"),
        ({"propagate": "tenant"}, TypeError, r"propagate is 'tenant'; give a list"),
        ({"propagate": ["tenant"]}, ValueError, r"propagate names 'tenant', which is none of attributes"),
        ({"attributes": {"a b": "x"}, "propagate": ["a b"]}, ValueError, r"'a b', which is no key of baggage"),
        ({"attributes": {"a": ["x"]}, "propagate": ["a"]}, ValueError, r"'a', which is \['x'\]; only texts"),
        ({"attributes": {"a": "x" * 5000}, "propagate": ["a"]}, ValueError, r"W3C Baggage takes at most 64 of 8192"),
        (
            {"attributes": {f"a{n}": "x" for n in range(65)}, "propagate": [f"a{n}" for n in range(65)]},
            ValueError,
            r"propagate has 65 attributes",
        ),
    ],
)
def test_mistakes(options, kind, message):
    """A mistake is an error of one line when the handler is made."""
    with pytest.raises(kind, match=message) as error:
        OpenTelemetryCallbackHandler(**options)
    assert "\n" not in str(error.value)
