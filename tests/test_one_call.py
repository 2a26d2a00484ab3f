"""One call of a model is counted once, whoever else makes a span for it."""

import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from devtools.anthropic_server import Answer, AnthropicServer, Failure
from runspan import AiOnlySpanProcessor, OpenTelemetryCallbackHandler, Settings
from runspan._configure import configure
from runspan._guard import faults
from runspan.processors.one_call import OneCallSpanProcessor
from runspan.testing import RecordedTrace
from tests.demo.asking import SUM
from tests.fakes import SyncModel, SyncStreamModel
from tests.otlp_receivers import HttpReceiver
from tests.programs import run_python
from tests.tracing import Tracing

IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
USAGE = {"input_tokens": 16, "output_tokens": 9, "total_tokens": 25}
HTTP = {"http.response.status_code": 200, "http.request.resend_count": 1}
CONVENTIONS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m",
    "gen_ai.response.id": "r1",
    "gen_ai.response.finish_reasons": ("stop",),
    IN: 16,
    OUT: 9,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.cache_write.input_tokens": 2,
    "gen_ai.usage.reasoning.output_tokens": 0,
    "openai.response.service_tier": "flex",
    "server.address": "api.example.com",
    "server.port": 443,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "m",
    "llm.token_count.prompt": 16,
    "llm.token_count.completion": 9,
    "llm.token_count.prompt_details.cache_read": 4,
    "llm.input_messages.0.message.content": "hello",
    "input.value": "hello",
    "output.value": "hi",
    "session.id": "s1",
}
OPENLLMETRY = {
    "llm.request.type": "chat",
    "llm.usage.total_tokens": 25,
    "gen_ai.system": "openai",
    "gen_ai.usage.prompt_tokens": 16,
    "gen_ai.usage.completion_tokens": 9,
    "gen_ai.completion.0.content": "hi",
    "traceloop.association.properties.user": "u1",
}


class Counted(Tracing):
    """A provider whose spans are passed on counted once, beside those as they are."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self.sent = InMemorySpanExporter()
        self.processor = OneCallSpanProcessor(SimpleSpanProcessor(self.sent))
        self.provider.add_span_processor(self.processor)

    def one_sent(self, name: str) -> dict[str, Any]:
        """Return the attributes of the only span with a name."""
        (span,) = [span for span in self.sent.get_finished_spans() if span.name == name]
        return dict(span.attributes)

    def total(self, name: str) -> int:
        """Return the sum of an attribute over all spans."""
        return sum(span.attributes.get(name, 0) for span in self.sent.get_finished_spans())

    def inner(self, attributes: dict[str, Any], name: str = "sdk", **more: Any) -> None:
        """Make the span of an SDK, which says at its end what came."""
        with self.tracer.start_as_current_span(name, attributes=HTTP) as span:
            self.mark("POST")
            span.set_attributes(attributes | more)


def sdk_client(tracing: Tracing, server: AnthropicServer) -> anthropic.Anthropic:
    """Make a client of Anthropic's SDK that traces itself into the provider of the test, content too."""
    options = {"tracer_provider": tracing.provider, "traces": {"content_mode": "content"}}
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=1, open_telemetry=options)


@pytest.fixture
def counted():
    """Count in memory; nothing may be left open."""
    counted = Counted()
    yield counted
    counted.settle()


@pytest.mark.parametrize(
    ("inner", "kept", "gained"),
    [
        (
            CONVENTIONS,
            {"openai.response.service_tier": "flex", "server.address": "api.example.com", "server.port": 443},
            {
                "gen_ai.response.id": "r1",
                "gen_ai.response.finish_reasons": ("stop",),
                "gen_ai.usage.cache_read.input_tokens": 4,
                "gen_ai.usage.cache_write.input_tokens": 2,
                "gen_ai.usage.cache_creation.input_tokens": 2,
                "openai.response.service_tier": "flex",
                "server.address": "api.example.com",
                "server.port": 443,
            },
        ),
        (
            OPENINFERENCE,
            {"session.id": "s1"},
            {"gen_ai.response.model": "m", "gen_ai.usage.cache_read.input_tokens": 4},
        ),
        (OPENLLMETRY, {"traceloop.association.properties.user": "u1"}, {}),
    ],
    ids=["conventions", "openinference", "openllmetry"],
)
@pytest.mark.parametrize("usage", [USAGE, None], ids=["own usage", "none"])
def test_every_family(counted, inner, kept, gained, usage):
    """The inner span is sent without what makes it a call; what it alone knows is on ours, which has the usage."""
    SyncModel(before=lambda: counted.inner(inner), usage=usage).invoke("x", counted.config)
    assert counted.one_sent("sdk") == HTTP | kept
    chat = counted.one_sent("chat")
    start = {"gen_ai.operation.name", "gen_ai.request.model", "gen_ai.input.messages", "gen_ai.output.messages"}
    ours = ("langchain.", "input.", "output.")
    said = {name: value for name, value in chat.items() if not name.startswith(ours) and name not in start}
    assert said == gained | {"gen_ai.provider.name": said["gen_ai.provider.name"], IN: 16, OUT: 9}
    assert RecordedTrace(counted.sent.get_finished_spans()).tree() == "chat\n  sdk\n    POST"
    assert {name: dict(counted.one("sdk").attributes).get(name) for name in inner} == inner


def test_our_own_word_counts(counted):
    """What LangChain's answer says stays, though the inner span says otherwise."""
    own = USAGE | {"input_token_details": {"cache_read": 3}}
    SyncModel(before=lambda: counted.inner(CONVENTIONS | {OUT: 1}), usage=own).invoke("x", counted.config)
    chat = counted.one_sent("chat")
    assert (chat[OUT], chat["gen_ai.usage.cache_read.input_tokens"]) == (9, 3)


def test_the_copy_is_the_span(counted):
    """Besides its attributes, all of the inner span is as it was, also an error, its events and what was dropped."""

    def work():
        with counted.tracer.start_as_current_span("sdk", attributes=CONVENTIONS) as span:
            span.add_event("retry", {"n": 1})
            span.set_status(StatusCode.ERROR, "overloaded")
            span.set_attribute("error.type", "529")

    SyncModel(before=work).invoke("x", counted.config)
    original = counted.one("sdk")
    (copy,) = [span for span in counted.sent.get_finished_spans() if span.name == "sdk"]
    assert copy is not original
    for name in ("context", "parent", "kind", "resource", "events", "links", "start_time", "end_time"):
        assert getattr(copy, name) == getattr(original, name)
    assert copy.status is original.status
    assert copy.attributes["error.type"] == "529"
    assert (copy.instrumentation_scope, copy.dropped_attributes) == (original.instrumentation_scope, 0)


def test_a_failing_model(counted):
    """A run that fails after its call was answered has the usage of the call."""
    model = SyncModel(before=lambda: counted.inner(CONVENTIONS), answer=ValueError("unreadable"))
    with pytest.raises(ValueError, match="unreadable"):
        model.invoke("x", counted.config)
    assert counted.one_sent("chat")[OUT] == counted.total(OUT) == 9


def test_several_calls_of_one_run(counted):
    """Of several calls that a run makes, one after the other, the tokens add up on it; the last one answered."""

    def work():
        counted.inner({"gen_ai.operation.name": "chat", "error.type": "529"}, "first")
        counted.inner(CONVENTIONS, "second")
        counted.inner(CONVENTIONS | {"gen_ai.response.id": "r2"}, "third")

    SyncModel(before=work).invoke("x", counted.config)
    assert (counted.one_sent("chat")[OUT], counted.total(OUT), counted.total(IN)) == (18, 18, 32)
    assert counted.one_sent("chat")["gen_ai.response.id"] == "r2"
    assert counted.one_sent("first") == HTTP | {"error.type": "529"}


def test_an_instrumentation_around_an_sdk_that_traces_itself(counted):
    """Two inner spans for one call, one in the other, are one call, too."""

    def work():
        with counted.tracer.start_as_current_span("openinference") as outer, counted.span("retries"):
            counted.inner(CONVENTIONS)
            outer.set_attributes(OPENINFERENCE)

    SyncModel(before=work).invoke("x", counted.config)
    assert (counted.one_sent("chat")[OUT], counted.total(OUT)) == (9, 9)
    assert counted.one_sent("openinference") == {"session.id": "s1"}


def test_a_stream_that_is_read(counted):
    """A stream has the usage once, also if only the inner span, open between the chunks, has it."""
    spans = []
    model = SyncStreamModel(before=lambda: spans.append(counted.tracer.start_span("sdk")))
    for chunk in model.stream("x", counted.config):
        if chunk.content == "ee":
            spans[0].set_attributes(CONVENTIONS)
            spans[0].end()
    assert (counted.one_sent("chat")[OUT], counted.total(OUT)) == (9, 9)


@pytest.mark.parametrize(("usage", "ours", "inners"), [(None, None, 9), (USAGE, 9, None)])
def test_an_inner_span_that_ends_after_ours(counted, usage, ours, inners):
    """It stays whole if ours had no usage, and is bare if it had."""
    spans = []
    model = SyncStreamModel(before=lambda: spans.append(counted.tracer.start_span("sdk")), usage=usage)
    stream = model.stream("x", counted.config)
    if usage is None:
        next(stream)
        stream.close()
    else:
        list(stream)
    spans[0].set_attributes(CONVENTIONS)
    spans[0].end()
    assert (counted.one_sent("chat").get(OUT), counted.one_sent("sdk").get(OUT)) == (ours, inners)
    assert counted.one_sent("sdk").get("gen_ai.operation.name") == (None if ours else "chat")


def test_our_span_is_ended_by_hand(counted):
    """Where somebody has ended the run's span, it can't get the usage, so the inner one has it."""
    spans = []

    class Keeper(SpanProcessor):
        def on_start(self, span, parent_context=None):
            spans.append(span)

    def work():
        spans[0].end()
        counted.inner(CONVENTIONS)

    counted.provider.add_span_processor(Keeper())
    SyncModel(before=work).invoke("x", counted.config)
    assert counted.one_sent("sdk")[OUT] == counted.total(OUT) == 9


def test_two_inner_spans_that_end_after_ours(counted):
    """Of two for one call, one in the other, one stays whole."""
    spans = []

    def work():
        with counted.tracer.start_as_current_span("outer", end_on_exit=False) as outer:
            spans.extend([counted.tracer.start_span("sdk"), outer])

    stream = SyncStreamModel(before=work).stream("x", counted.config)
    next(stream)
    stream.close()
    for span in spans:
        span.set_attributes(CONVENTIONS)
        span.end()
    assert counted.one_sent("sdk")[OUT] == counted.total(OUT) == 9


def test_an_inner_span_without_usage_that_ends_after_ours(counted):
    """It has nothing to count and is bare."""
    spans = []
    stream = SyncStreamModel(before=lambda: spans.append(counted.tracer.start_span("sdk"))).stream("x", counted.config)
    next(stream)
    stream.close()
    spans[0].set_attributes({"gen_ai.operation.name": "chat"} | HTTP)
    spans[0].end()
    assert counted.one_sent("sdk") == HTTP


@pytest.mark.parametrize("ends_first", ["run", "sdk"])
@pytest.mark.newest
def test_the_sdk_left_early(counted, ends_first):
    """A stream that is left early counts the tokens of its question once, whichever span ends first."""
    with AnthropicServer() as server:
        client = sdk_client(counted, server)
        answers = []

        class Asking(SyncModel):
            def _stream(self, messages, stop=None, run_manager=None, **kwargs):
                answers.append(client.messages.create(**SUM, stream=True))
                for event in answers[0]:
                    if event.type == "content_block_delta":
                        yield ChatGenerationChunk(message=AIMessageChunk(content=event.delta.text))

        stream = Asking(tracing=counted).stream("x", counted.config)
        assert next(stream).content
        closing = [stream, answers[0]]
        for each in closing if ends_first == "run" else reversed(closing):
            each.close()
        client.close()
    chat, sdk = counted.one_sent("chat"), counted.one_sent("anthropic.messages.create")
    assert (chat.get(IN), sdk.get(IN)) == ((None, 16) if ends_first == "run" else (16, None))


@pytest.mark.newest
def test_the_sdk_with_retries(counted):
    """What the SDK alone knows stays on its span: the number of tries, the id of its request; the tier is on both."""
    with AnthropicServer([Failure(529), Answer("3")]) as server, sdk_client(counted, server) as client:
        SyncModel(before=lambda: client.messages.create(**SUM)).invoke("x", counted.config)
    sdk = counted.one_sent("anthropic.messages.create")
    assert [name for name in sdk if name.startswith("gen_ai.")] == []
    assert sdk["http.request.resend_count"] == 1
    assert sdk["http.response.status_code"] == 200
    assert sdk["anthropic.request.id"]
    chat = counted.one_sent("chat")
    assert chat["anthropic.response.service_tier"] == "standard"
    assert chat["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert chat[OUT] == counted.total(OUT) > 0


def test_a_call_within_a_tool_is_one_of_its_own(counted):
    """In a tool, in a chain and outside of any run the span of a call stays as it is, the same object."""

    @tool
    def look() -> str:
        """Look."""
        counted.inner(CONVENTIONS, "in tool")
        return "seen"

    def calls_tool():
        look.invoke({}, counted.config)

    SyncModel(before=calls_tool, usage=USAGE).invoke("x", counted.config)
    RunnableLambda(lambda _: counted.inner(CONVENTIONS, "in chain")).invoke("x", counted.config)
    counted.inner(CONVENTIONS, "outside")
    for name in ("in tool", "in chain", "outside"):
        (sent,) = [span for span in counted.sent.get_finished_spans() if span.name == name]
        assert sent is counted.one(name)
    assert counted.total(OUT) == 9 * 4


def test_two_handlers_and_two_processors(counted):
    """However many handlers and processors hear of a call, it is counted once by each processor."""
    other = InMemorySpanExporter()
    counted.provider.add_span_processor(OneCallSpanProcessor(AiOnlySpanProcessor(SimpleSpanProcessor(other))))
    listener = InMemorySpanExporter()
    second = OpenTelemetryCallbackHandler(
        tracer_provider=counted.provider,
        settings=Settings(capture_content="none"),
        span_processors=[OneCallSpanProcessor(SimpleSpanProcessor(listener))],
    )
    model = SyncModel(before=lambda: counted.inner(CONVENTIONS))
    model.invoke("x", {"callbacks": [counted.handler, second]})
    for exporter in (counted.sent, other, listener):
        assert sum(span.attributes.get(OUT, 0) for span in exporter.get_finished_spans()) == 9
    assert "gen_ai.input.messages" not in counted.one_sent("chat")


def test_two_providers(counted):
    """Where the run's span goes elsewhere, the inner one is the only one here, and stays whole."""
    elsewhere = Counted()
    SyncModel(before=lambda: counted.inner(CONVENTIONS)).invoke("x", elsewhere.config)
    assert counted.one_sent("sdk") == HTTP | CONVENTIONS
    both = {"callbacks": [counted.handler, elsewhere.handler]}
    counted.sent.clear()
    SyncModel(before=lambda: counted.inner(CONVENTIONS)).invoke("x", both)
    assert (counted.total(OUT), "gen_ai.operation.name" in counted.one_sent("sdk")) == (9, False)


def test_many_at_once(counted):
    """Calls in many threads and tasks are each counted once, each with what its own inner span knows."""
    barrier = threading.Barrier(8)

    def ask(number):
        def work():
            barrier.wait(10)
            counted.inner(CONVENTIONS | {"gen_ai.response.id": f"r{number}", OUT: number}, f"sdk {number}")

        SyncModel(before=work).invoke("x", counted.config | {"run_name": f"{number}"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(1, 41)))
    chats = [span.attributes for span in counted.sent.get_finished_spans() if span.name == "chat"]
    assert {chat["gen_ai.response.id"]: chat[OUT] for chat in chats} == {f"r{n}": n for n in range(1, 41)}
    assert counted.total(OUT) == sum(range(1, 41))


def test_batch(counted):
    """Of a batch each call has its own inner span."""
    SyncModel(before=lambda: counted.inner(CONVENTIONS)).batch(["a", "b", "c"], counted.config)
    assert [span.attributes[OUT] for span in counted.sent.get_finished_spans() if span.name == "chat"] == [9, 9, 9]
    assert counted.total(OUT) == 27


def test_spans_that_never_end_take_no_memory(counted):
    """Inner spans that are dropped without an end, and those that ended, are forgotten."""

    def work():
        for _ in range(100):
            counted.tracer.start_span("dropped")

    for _ in range(20):
        SyncModel(before=work).invoke("x", counted.config)
    gc.collect()
    # Not at once: what is collected may end yet. The time that it has is the table's.
    assert len(counted.processor._calls) == 0
    assert len(counted.processor._inner._collected) == len(counted.processor._inner)


def test_hostile_attributes(counted, quiet):
    """Attributes of other types than the conventions name are no facts, and no faults."""
    before = faults()
    wrong = {IN: "many", OUT: -1, "gen_ai.response.id": 5, "gen_ai.response.finish_reasons": 7, "server.port": "x"}
    SyncModel(before=lambda: counted.inner({"gen_ai.operation.name": "chat"} | wrong)).invoke("x", counted.config)
    assert counted.one_sent("sdk") == HTTP | {"server.port": "x"}
    assert OUT not in counted.one_sent("chat")
    assert faults() == before


def test_flush_and_shutdown_reach_the_processor():
    """The processor within is flushed and shut down."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(OneCallSpanProcessor(SimpleSpanProcessor(exporter)))
    assert provider.force_flush()
    provider.shutdown()
    provider.get_tracer("test").start_span("late").end()
    assert exporter.get_finished_spans() == ()


def test_suppressed_instrumentation(counted):
    """Where instrumentation is suppressed a run makes no span, and what it calls is no part of another call."""
    with suppress_instrumentation():
        SyncModel(before=lambda: counted.inner(CONVENTIONS)).invoke("x", counted.config)
    assert [span.name for span in counted.sent.get_finished_spans()] == ["POST", "sdk"]
    assert counted.one_sent("sdk") == HTTP | CONVENTIONS


PROGRAM = """
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from runspan import OpenTelemetryCallbackHandler

    class Model(GenericFakeChatModel):
        def _generate(self, *args, **kwargs):
            with trace.get_tracer("sdk").start_as_current_span("sdk") as span:
                span.set_attributes({{"gen_ai.operation.name": "chat", "gen_ai.usage.output_tokens": 9, "sdk.id": "s"}})
            return super()._generate(*args, **kwargs)

    with configure(endpoint={endpoint!r}{more}) as handle:
        Model(messages=iter([AIMessage("hi")])).invoke("x", {{"callbacks": [OpenTelemetryCallbackHandler()]}})
"""


@pytest.mark.parametrize(
    ("more", "inner"),
    [
        ("", {"sdk.id": "s"}),
        (", nested_model_spans='keep'", {"gen_ai.operation.name": "chat", OUT: 9, "sdk.id": "s"}),
    ],
)
def test_configure(more, inner):
    """By default what leaves the process is counted once; by choice both spans are whole."""
    with HttpReceiver() as receiver:
        ended = run_python(PROGRAM.format(endpoint=receiver.endpoint, more=more))
        spans = {span["name"]: span["attributes"] for span in receiver.received()}
    assert ended.stderr == []
    assert spans["sdk"] == inner
    assert spans["chat"].get(OUT) == (None if more else 9)


def test_an_unknown_choice(caplog):
    """A wrong value is an error that names those there are."""
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="it must be 'deduplicate' or 'keep'"):
        configure(nested_model_spans="both")
