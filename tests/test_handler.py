"""The handler's own interface, and what it does with callbacks that make no sense."""

import copy
import gc
import logging
import pickle
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import StdOutCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from runspan import OpenTelemetryCallbackHandler, Settings, __version__
from runspan._by_identity import ByIdentity
from runspan._guard import faults
from runspan.export.stats import observe_deliveries
from tests.fakes import Model, Retriever, body, tool
from tests.recorders import Driven
from tests.tracing import Tracing


def test_trace_id_for_a_run(tracing):
    """The trace id of a run is known while it is open and for a while after."""
    run_id, unknown = uuid.uuid4(), uuid.uuid4()
    seen = []

    def look(x):
        seen.append(tracing.handler.trace_id_for(run_id))
        return x

    RunnableLambda(look).invoke("x", {**tracing.config, "run_id": run_id})
    expected = f"{tracing.one('look').context.trace_id:032x}"
    assert seen == [expected]
    assert tracing.handler.trace_id_for(run_id) == expected
    assert tracing.handler.trace_id_for(unknown) is None


def test_trace_id_for_a_run_of_an_event(tracing):
    """Events of ``astream_events`` give run ids as str; what is no run id is an error that says what to give."""
    run_id = uuid.uuid4()
    RunnableLambda(lambda x: x, name="one").invoke("x", {**tracing.config, "run_id": run_id})
    assert tracing.handler.trace_id_for(str(run_id)) == tracing.handler.trace_id_for(run_id) is not None
    remedy = "pass the run_id of a callback or an event, a UUID or its str"
    with pytest.raises(ValueError, match=f"^run_id is 'lc_1', which is no UUID; {remedy}$"):
        tracing.handler.trace_id_for("lc_1")
    with pytest.raises(TypeError, match=f"^run_id is None; {remedy}$"):
        tracing.handler.trace_id_for(None)


def test_trace_ids_are_forgotten_after_some_thousand_runs(tracing):
    """The memory of trace ids is bounded."""
    run_id = uuid.uuid4()
    open_id = uuid.uuid4()
    body(tracing, "one").invoke("x", {**tracing.config, "run_id": run_id})
    tracing.handler.on_chain_start({}, "x", run_id=open_id)
    for _ in range(9000):
        tracing.handler.on_chain_start({}, "x", run_id=(later := uuid.uuid4()))
        tracing.handler.on_chain_end("x", run_id=later)
        tracing.exporter.clear()
    assert tracing.handler.trace_id_for(run_id) is None
    assert tracing.handler.trace_id_for(open_id) is not None
    tracing.handler.on_chain_end("x", run_id=open_id)


def test_open_runs_counts_each_handlers_own(tracing):
    """A handler counts the runs that it hears of, no others on the same provider."""
    other = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider)
    counts = []

    def count(x):
        counts.append((tracing.handler.open_runs, other.open_runs))
        return x

    chain = body(tracing, "first") | RunnableLambda(count)
    chain.invoke("x", tracing.config)
    chain.invoke("x", {"callbacks": [tracing.handler, other]})
    assert counts == [(2, 0), (2, 2)]


def test_two_handlers_on_one_provider_make_one_span_per_run(tracing):
    """A handler in a constructor and another at runtime see the same run: it has one span."""
    other = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider)
    chain = body(tracing, "first") | Model(tracing=tracing, callbacks=[other])
    chain.invoke("x", tracing.config)
    assert tracing.text() == "RunnableSequence\n  first\n    first work\n  chat\n    http"


def test_one_handler_in_a_constructor_and_at_runtime(tracing):
    """The same handler in both places is heard once."""
    model = Model(tracing=tracing, callbacks=[tracing.handler])
    (body(tracing, "first") | model).invoke("x", tracing.config)
    model.invoke("x", tracing.config)
    assert tracing.text() == "RunnableSequence\n  first\n    first work\n  chat\n    http\nchat\n  http"


def test_handlers_on_two_providers_make_traces_of_their_own(tracing):
    """Handlers on different providers each make a whole trace, and neither hangs below the other's."""
    second = Tracing()
    chain = body(tracing, "first") | Model(tracing=tracing)
    chain.invoke("x", {"callbacks": [tracing.handler, second.handler]})
    assert second.text() == "RunnableSequence\n  first\n  chat"
    names = {span.name: span for span in tracing.spans}
    assert names["first"].parent == names["chat"].parent == names["RunnableSequence"].context
    assert names["RunnableSequence"].parent is None


def test_a_handler_only_in_a_constructor(tracing):
    """A model with a handler in its constructor, in a chain without one, is traced under the caller's span."""
    with tracing.span("request"):
        (RunnableLambda(lambda x: x) | Model(tracing=tracing, callbacks=[tracing.handler])).invoke("x")
    assert tracing.text() == "request\n  chat\n    http"


def test_hidden_runs_have_no_span(tracing):
    """A run that LangChain hides gives no span; the runs and spans within it move up."""
    chain, hidden, inner = (uuid.uuid4() for _ in range(3))
    handler = tracing.handler
    handler.on_chain_start({}, "x", run_id=chain, name="outer")
    handler.on_chain_start({}, "x", run_id=hidden, parent_run_id=chain, name="_write", tags=["langsmith:hidden"])
    tracing.mark("within")
    handler.on_chain_start({}, "x", run_id=inner, parent_run_id=hidden, name="inner")
    tracing.mark("inner work")
    handler.on_chain_end("x", run_id=inner)
    handler.on_chain_end("x", run_id=hidden)
    tracing.mark("after")
    handler.on_chain_end("x", run_id=chain)
    assert tracing.text() == "outer\n  within\n  inner\n    inner work\n  after"


def test_attributes_of_every_kind(tracing):
    """Each kind of run says what it is, and only operations of the conventions carry their names."""
    chain = body(tracing, "first") | tool(tracing)
    chain.invoke({"x": 1}, {**tracing.config, "tags": ["mine"]})
    Retriever(tracing=tracing).invoke("who", tracing.config)
    assert tracing.one("first").attributes["langchain.tags"] == ("seq:step:1", "mine")

    def attributes_of(name):
        attributes = dict(tracing.one(name).attributes)
        assert uuid.UUID(attributes.pop("langchain.run.id"))
        return attributes

    assert attributes_of("RunnableSequence") == {
        "langchain.run.type": "chain",
        "langchain.tags": ("mine",),
        "input.value": '{"x":1}',
        "input.mime_type": "application/json",
        "output.value": "seen",
        "output.mime_type": "text/plain",
        "openinference.span.kind": "CHAIN",
        "tag.tags": ("mine",),
    }
    assert attributes_of("execute_tool look") == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Looks.",
        "gen_ai.tool.call.arguments": '{"x":1}',
        "gen_ai.tool.call.result": "seen",
        "langchain.run.type": "tool",
        "langchain.tags": ("seq:step:2", "mine"),
        "tag.tags": ("mine",),
    }
    assert attributes_of("retrieval") == {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.query.text": "who",
        "gen_ai.retrieval.documents": '[{"content":"a","metadata":{}}]',
        "input.value": "who",
        "input.mime_type": "text/plain",
        "output.value": '[{"content":"a","metadata":{}}]',
        "output.mime_type": "application/json",
        "langchain.run.name": "Retriever",
        "langchain.run.type": "retriever",
        "openinference.span.kind": "RETRIEVER",
    }
    assert tracing.one("retrieval").kind is trace.SpanKind.CLIENT
    assert tracing.one("execute_tool look").kind is trace.SpanKind.INTERNAL
    assert tracing.one("first").instrumentation_scope.name == "runspan"
    assert tracing.one("first").instrumentation_scope.version == __version__


CANARY = "a-canary-that-must-not-sing"


def test_without_content_no_word_of_the_user_is_told():
    """With content off, nothing of messages, tools, documents, tags or errors is on a span."""
    tracing = Tracing(Settings(capture_content="none"))

    def look(x):
        tool(tracing).invoke({"x": 3}, {"tags": [CANARY]})
        Retriever(tracing=tracing).invoke(CANARY)
        Model(tracing=tracing).invoke(CANARY)
        return x

    chain = RunnableLambda(look) | Model(answer=lambda messages: ValueError(messages[-1].content))
    with pytest.raises(ValueError, match=CANARY):
        chain.invoke(CANARY, {**tracing.config, "tags": [CANARY], "metadata": {"note": CANARY}})
    assert CANARY not in "".join(span.to_json() for span in tracing.spans)
    failed = [span for span in tracing.named("chat") if not span.status.is_ok]
    assert [span.attributes["error.type"] for span in failed] == ["ValueError"]
    assert "seen" not in "".join(span.to_json() for span in tracing.spans)


def test_a_trace_that_is_sampled_out_costs_no_mapping(monkeypatch):
    """Nothing is read from messages whose trace is not recorded, and the run still ends."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider)

    class Untouchable(HumanMessage):
        def __getattribute__(self, name):
            assert name != "content" or not reading, "the message was read"
            return super().__getattribute__(name)

    reading = False
    message = Untouchable("x")
    reading = True
    handler.on_chat_model_start({}, [[message]], run_id=(run_id := uuid.uuid4()))
    assert handler.open_runs == 1
    handler.on_llm_end(LLMResult(generations=[[ChatGeneration(message=AIMessage("y"))]]), run_id=run_id)
    assert handler.open_runs == 0


def test_flush_and_shutdown(tracing):
    """A shutdown ends what is open and traces nothing more."""
    tracing.handler.on_chain_start({}, "x", run_id=uuid.uuid4(), name="left")
    assert tracing.handler.force_flush(1) is True
    assert tracing.handler.open_runs == 1
    assert tracing.handler.shutdown(1) is True
    assert tracing.text() == "left [abandoned]"
    body(tracing, "later").invoke("x", tracing.config)
    assert tracing.named("later") == []


def test_a_run_that_two_handlers_share_ends_with_the_last(tracing):
    """A shutdown leaves open what another handler still hears of; the other's shutdown ends it."""
    other = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider)
    run_id = uuid.uuid4()
    for handler in (tracing.handler, other, tracing.handler):
        handler.on_chain_start({}, "x", run_id=run_id, name="shared")
    tracing.handler.shutdown(1)
    assert (tracing.handler.open_runs, other.open_runs) == (0, 1)
    other.shutdown(1)
    assert (tracing.handler.open_runs, other.open_runs) == (0, 0)
    assert tracing.text() == "shared [abandoned]"


def test_a_flush_keeps_to_its_time(tracing):
    """A processor that does not come back in time makes the flush say that nothing is sure."""
    go_on = threading.Event()

    class Hanging(SpanProcessor):
        def force_flush(self, timeout_millis=30000):
            return go_on.wait(5)

    tracing.provider.add_span_processor(Hanging())
    assert tracing.handler.force_flush(0.05) is False
    go_on.set()


def test_a_flush_gets_past_the_processors_that_the_handler_adds(tracing):
    """What we add to a provider says that it holds nothing back, so that those after it are flushed, too."""
    with_listener = OpenTelemetryCallbackHandler(callbacks=[Driven()], tracer_provider=tracing.provider)
    flushed = []

    class Last(SpanProcessor):
        def force_flush(self, timeout_millis=30000):
            flushed.append(self)
            return True

    tracing.provider.add_span_processor(Last())
    assert with_listener.force_flush(5) is True
    assert len(flushed) == 1


def test_without_a_provider_one_line_says_what_to_do(caplog, tracing):
    """With no provider the chain runs as ever, and one line at WARNING says how to see spans."""
    from runspan.runs import tracing as module

    module._log_no_provider.cache_clear()
    for _ in range(2):
        handler = OpenTelemetryCallbackHandler()
        assert body(tracing, "one").invoke("x", {"callbacks": [handler]}) == "x"
        assert handler.open_runs == 0
        assert handler.force_flush(1) is False
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "runspan.configure()" in record.getMessage()


def test_a_copy_is_the_same_handler(tracing):
    """LangChain copies handlers with what holds them; they stay one."""
    assert copy.copy(tracing.handler) is tracing.handler
    assert copy.deepcopy({"callbacks": [tracing.handler]})["callbacks"][0] is tracing.handler


def test_one_handler_in_many_threads(tracing):
    """One handler serves invocations in many threads, each in a trace of its own."""
    chain = body(tracing, "first") | Model(tracing=tracing)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: chain.invoke("x", tracing.config), range(300)))
    tracing.text()
    assert len({span.context.trace_id for span in tracing.spans}) == 300
    assert len(tracing.spans) == 1500


class Hostile:
    """An object that fails at whatever is asked of it, but for its class, which hypothesis wants to know."""

    def __getattribute__(self, name):
        if name == "__class__":
            return Hostile
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")

    __str__ = __repr__


CYCLE = {}
CYCLE["self"] = CYCLE
JUNK = st.sampled_from(
    [
        None,
        0,
        -1,
        2**70,
        1.5,
        float("nan"),
        "",
        "text",
        "\ud800",
        b"\xff",
        [],
        [[]],
        {},
        CYCLE,
        {1: {2}},
        object,
        Hostile(),
    ]
)
EVENTS = {
    "on_chain_start": ("on_chain_end", "on_chain_error"),
    "on_chat_model_start": ("on_llm_end", "on_llm_error"),
    "on_llm_start": ("on_llm_end", "on_llm_error"),
    "on_tool_start": ("on_tool_end", "on_tool_error"),
    "on_retriever_start": ("on_retriever_end", "on_retriever_error"),
}
WORDS = st.dictionaries(
    st.sampled_from(["name", "tags", "metadata", "invocation_params", "inputs", "tool_call_id", "run_type", "options"]),
    JUNK,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from(sorted(EVENTS)), fails=st.booleans(), values=st.tuples(JUNK, JUNK, JUNK), words=WORDS)
def test_whatever_a_callback_holds_the_span_begins_and_ends(start, fails, values, words):
    """No payload keeps a span from its end, nor an event from a callback handler, nor lets an exception out."""
    tracing, driven = Tracing(), Driven()
    tracing.handler = OpenTelemetryCallbackHandler(callbacks=[driven], tracer_provider=tracing.provider)
    run_id = uuid.uuid4()
    end = EVENTS[start][fails]
    if start == "on_chain_start":
        words.pop("inputs", None)
    getattr(tracing.handler, start)(values[0], values[1], run_id=run_id, **words)
    tracing.handler.on_llm_new_token("a", chunk=values[2], run_id=run_id)
    so_far = {"response": values[0]} if end == "on_llm_error" else {}
    getattr(tracing.handler, end)(values[2], run_id=run_id, **so_far)
    assert len(tracing.spans) == 1
    assert tracing.handler.open_runs == 0
    tracing.spans[0].to_json()
    assert driven.events == [start, "on_llm_new_token", end]


@pytest.mark.parametrize("event", [*EVENTS, *(end for pair in EVENTS.values() for end in pair), "on_llm_new_token"])
def test_callbacks_without_ids_or_with_unknown_ones(tracing, event):
    """A callback that names no run, or one that never began, is counted or ignored, never raised."""
    call = getattr(tracing.handler, event)
    call()
    call("x", "y", run_id=None) if "start" in event else call("x", run_id=None)
    if "start" not in event:
        call("x", run_id=uuid.uuid4())
        call("x", run_id=[])
    assert tracing.handler.open_runs == 0


def test_a_fault_is_counted_and_logged_once(tracing, caplog):
    """The same fault a hundred times is one line, and a hundred in the count."""
    before = faults()
    for _ in range(100):
        tracing.handler.on_chain_start({}, {}, parent_run_id=uuid.uuid4())
    assert faults() == before + 100
    assert len(caplog.records) <= 1


def test_a_processor_that_raises_stops_nothing(tracing):
    """A span processor of the application that raises disturbs neither the run nor the spans of others."""

    class Raising(SpanProcessor):
        def on_end(self, span):
            raise RuntimeError("no")

    tracing.provider.add_span_processor(Raising())
    chain = RunnableLambda(lambda x: x, name="a") | RunnableLambda(lambda x: x, name="b")
    assert chain.invoke("x", tracing.config) == "x"
    assert tracing.text() == "RunnableSequence\n  a\n  b"
    assert tracing.handler.open_runs == 0


def test_a_handler_can_not_be_pickled_by_accident(tracing):
    """A handler holds the live runs of this process; to pickle it is an error, not a broken copy."""
    with pytest.raises(TypeError):
        pickle.dumps(tracing.handler)


@dataclass
class ProxyProvider(trace.TracerProvider):
    """A provider around another one that has no hash, as Logfire's is."""

    inner: TracerProvider

    def get_tracer(self, *args, **kwargs):
        return self.inner.get_tracer(*args, **kwargs)

    def add_span_processor(self, span_processor):
        self.inner.add_span_processor(span_processor)


@dataclass
class ProxyMeterProvider(MeterProvider):
    """The same for metrics."""

    inner: MeterProvider

    def get_meter(self, *args, **kwargs):
        return self.inner.get_meter(*args, **kwargs)


def test_providers_without_a_hash(tracing):
    """Providers are known by their identity: a handler needs no hash of them, nor does delivery."""
    provider, meters = ProxyProvider(tracing.provider), ProxyMeterProvider(NoOpMeterProvider())
    assert ProxyProvider.__hash__ is None
    heard = InMemorySpanExporter()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=provider, meter_provider=meters, span_processors=[SimpleSpanProcessor(heard)]
    )
    for _ in range(2):
        RunnableLambda(lambda x: x, name="run").invoke(1, {"callbacks": [handler]})
        observe_deliveries(meters)
    assert [span.name for span in heard.get_finished_spans()] == ["run"] * 2
    assert [span.name for span in tracing.spans] == ["run"] * 2


def test_what_is_known_of_a_provider_goes_with_it():
    """A provider that nobody refers to leaves nothing."""
    known, provider = ByIdentity(), ProxyProvider(TracerProvider())
    assert known.setdefault(provider, 1) == known.setdefault(provider, 2) == known.get(provider) == 1
    assert provider in known
    assert known.items() == [(provider, 1)]
    del provider
    gc.collect()
    assert known.values() == []


class ReplacingProvider(TracerProvider):
    """Puts the first processor that is added in place of its own, unless it is asked not to, as Phoenix's does."""

    def __init__(self):
        super().__init__()
        self.own = InMemorySpanExporter()
        super().add_span_processor(SimpleSpanProcessor(self.own))

    def add_span_processor(self, *args, replace_default_processor=True, **kwargs):
        if replace_default_processor:
            self.own.shutdown()
        super().add_span_processor(*args, **kwargs)


@pytest.mark.parametrize("listening", [{}, {"callbacks": [StdOutCallbackHandler()]}], ids=["plain", "listening"])
def test_a_provider_keeps_its_own_processor(listening):
    """A handler takes nothing from the provider that it is made for."""
    provider = ReplacingProvider()
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider, **listening)
    RunnableLambda(lambda x: x, name="run").invoke(1, {"callbacks": [handler]})
    assert [span.name for span in provider.own.get_finished_spans()] == ["run"]
