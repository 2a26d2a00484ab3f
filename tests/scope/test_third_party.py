"""Spans of other libraries drive callback handlers: once for each call, in their place among the runs of LangChain."""

import asyncio
import json
from collections.abc import Iterator

import anthropic
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from opentelemetry.trace import StatusCode

import runspan
from devtools.anthropic_server import AnthropicServer
from runspan import CallbackSpanProcessor, OpenTelemetryCallbackHandler, _invocation
from tests.demo.asking import SUM
from tests.fakes import Model, SyncModel, body
from tests.recorders import AsyncDriven, Driven, Processor

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4"}
ASKED = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hello"}]}])
ANSWERED = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "hi"}], "finish_reason": "stop"}])


@pytest.fixture
def server() -> Iterator[AnthropicServer]:
    """Serve Anthropic's API."""
    with AnthropicServer() as server:
        yield server


def sdk(kind, server, tracing, content_mode):
    """Make a client of Anthropic's SDK that traces itself into the provider of the test."""
    traces = {"content_mode": content_mode}
    options = {"tracer_provider": tracing.provider, "traces": traces}
    return kind(base_url=server.url, api_key="none", open_telemetry=options)


@pytest.mark.parametrize(("content_mode", "text"), [("content", "1 + 2 = 3"), ("metadata_only", "")])
@pytest.mark.newest
def test_the_plain_sdk(tracing, server, content_mode, text):
    """A program without LangChain drives a handler: no messages at the start, the answer and its usage at the end."""
    driven, processor = Driven(), Processor()
    with sdk(anthropic.Anthropic, server, tracing, content_mode) as client:
        client.messages.create(**SUM)
        with runspan.invocation(callbacks=[driven], span_processors=[processor], tracer_provider=tracing.provider):
            client.messages.create(**SUM)
            with client.messages.stream(**SUM) as stream:
                stream.until_done()
        client.messages.create(**SUM)

    assert processor.ended == ["anthropic.messages.create"] * 2
    assert driven.events == ["on_chat_model_start", "on_llm_end"] * 2
    start, end = driven.heard[:2]
    assert start.args == ([[]],)
    assert start.kwargs["metadata"]["ls_model_name"] == SUM["model"]
    assert start.kwargs["run_id"] == end.kwargs["run_id"]
    ((generation,),) = end.args[0].generations
    assert (generation.text, generation.message.text) == (text, text)
    assert generation.message.usage_metadata["input_tokens"] == 16
    assert generation.message.usage_metadata["output_tokens"] == 9


@pytest.mark.newest
async def test_the_plain_async_sdk(tracing, server):
    """An async program drives an async handler, which has been told when its block ends."""
    driven = AsyncDriven()
    async with sdk(anthropic.AsyncAnthropic, server, tracing, "content") as client:
        async with runspan.invocation(callbacks=[driven], tracer_provider=tracing.provider):
            await client.messages.create(**SUM)
        await client.messages.create(**SUM)
    assert driven.events == ["on_chat_model_start", "on_llm_end"]


@pytest.mark.newest
def test_one_call_is_heard_once(tracing, server):
    """The SDK's span below a model of LangChain's is the same call; as a span the processors hear it."""
    driven, processor, everywhere = Driven(), Processor(), Driven()
    tracing.provider.add_span_processor(CallbackSpanProcessor([everywhere]))
    client = sdk(anthropic.Anthropic, server, tracing, "content")

    def ask():
        with client, tracing.span("retries"):
            client.messages.create(**SUM)

    handler = OpenTelemetryCallbackHandler(
        callbacks=[driven], span_processors=[processor], tracer_provider=tracing.provider
    )
    (body(tracing, "first") | SyncModel(tracing=tracing, before=ask)).invoke("x", {"callbacks": [handler]})
    assert processor.started[-3:] == ["retries", "anthropic.messages.create", "http"]
    assert driven.events == ["on_chain_start"] * 2 + [
        "on_chain_end",
        "on_chat_model_start",
        "on_llm_end",
        "on_chain_end",
    ]
    assert everywhere.heard == driven.heard


def test_spans_by_hand(tracing):
    """Spans that a user writes are told in their place; those without a meaning are passed over."""
    driven = Driven()

    def work(given):
        with tracing.tracer.start_as_current_span("agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
            with tracing.span("POST"), tracing.tracer.start_as_current_span("chat", attributes=CHAT) as span:
                tracing.mark("HTTP")
                span.set_attribute("gen_ai.output.messages", ANSWERED)
            tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add"}
            with tracing.tracer.start_as_current_span("tool", attributes=tool) as span:
                span.set_status(StatusCode.ERROR, "no sum")
                span.set_attribute("error.type", "ValueError")
        return given

    handler = OpenTelemetryCallbackHandler(callbacks=[driven], tracer_provider=tracing.provider)
    RunnableLambda(work).invoke("x", {"callbacks": [handler]})

    ids = {each.kwargs["run_id"]: each.kwargs.get("name") for each in driven.heard if each.event.endswith("start")}
    parents = [ids.get(each.kwargs["parent_run_id"]) for each in driven.heard]
    assert list(zip(driven.events, parents, strict=True)) == [
        ("on_chain_start", None),
        ("on_chain_start", "work"),
        ("on_chat_model_start", "agent"),
        ("on_llm_end", "agent"),
        ("on_tool_start", "agent"),
        ("on_tool_error", "agent"),
        ("on_chain_end", "work"),
        ("on_chain_end", None),
    ]
    assert driven.one("on_llm_end").args[0].generations[0][0].text == "hi"
    assert str(driven.one("on_tool_error").args[0]) == "no sum"


def test_a_meaning_that_comes_late(tracing):
    """A span that says only after its start what it means is told when it ends."""
    driven = Driven()
    with runspan.invocation(callbacks=[driven], tracer_provider=tracing.provider), tracing.span("by hand") as span:
        span.set_attributes({**CHAT, "gen_ai.input.messages": ASKED, "gen_ai.output.messages": ANSWERED})
        assert driven.events == []
    assert driven.events == ["on_chat_model_start", "on_llm_end"]
    assert driven.one("on_chat_model_start").args == ([[HumanMessage("hello")]],)


def test_a_model_span_around_a_model_span(tracing):
    """Two instrumentations of one call make one, whichever says first what its span means; a tool's call is another."""
    driven = Driven()
    with runspan.invocation(callbacks=[driven], tracer_provider=tracing.provider):
        with tracing.tracer.start_as_current_span("outer", attributes=CHAT):
            with tracing.span("HTTP"), tracing.tracer.start_as_current_span("inner", attributes=CHAT):
                pass
            tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ask"}
            with tracing.tracer.start_as_current_span("tool", attributes=tool):
                tracing.tracer.start_span("of the tool", attributes=CHAT).end()
        assert driven.events == [
            "on_chat_model_start",
            "on_tool_start",
            "on_chat_model_start",
            "on_llm_end",
            "on_tool_end",
            "on_llm_end",
        ]
        driven.heard.clear()
        with tracing.span("late") as late, tracing.tracer.start_as_current_span("inner", attributes=CHAT):
            late.set_attributes(CHAT)
    assert driven.events == ["on_chat_model_start", "on_llm_end"]


def test_langchain_within_a_block(tracing):
    """Runs of LangChain within a block are heard by the block's listeners, with its handler or another."""
    driven, processor, outside = Driven(), Processor(), Processor()
    tracing.mark("before")
    with runspan.invocation(
        callbacks=[driven], span_processors=[processor], tracer_provider=tracing.provider
    ) as handler:
        Model(tracing=tracing).invoke("x", {"callbacks": [handler]})
        other = OpenTelemetryCallbackHandler(span_processors=[outside], tracer_provider=tracing.provider)
        Model(tracing=tracing).invoke("x", {"callbacks": [other]})
        tracing.mark("in between")
    tracing.mark("after")
    Model(tracing=tracing).invoke("x", tracing.config)
    assert processor.started == ["chat", "http", "chat", "http", "in between"]
    assert outside.started == ["chat", "http"]
    assert driven.events == ["on_chat_model_start", "on_llm_end"] * 2


async def test_blocks_at_once(tracing):
    """Blocks in tasks, and within each other, hear their own; the span that is current stays what it was."""
    processors = [Processor() for _ in range(50)]
    outer = Processor()

    async def work(number):
        with runspan.invocation(span_processors=[processors[number]], tracer_provider=tracing.provider):
            await asyncio.sleep(0)
            with tracing.span(f"own {number}"):
                await asyncio.sleep(0)
                tracing.mark(f"inner {number}")

    with tracing.span("caller") as caller:
        async with runspan.invocation(span_processors=[outer], tracer_provider=tracing.provider):
            await asyncio.gather(*map(work, range(50)))
        tracing.mark("after")
    for number, processor in enumerate(processors):
        assert processor.started == [f"own {number}", f"inner {number}"]
    assert len(outer.started) == 100
    assert {span.parent.span_id for span in tracing.spans if span.name.startswith(("own", "after"))} == {
        caller.get_span_context().span_id
    }


def test_a_block_in_a_generator(tracing):
    """What the consumer of a generator opens between its steps is none of the block in it."""
    processor = Processor()

    def steps():
        with runspan.invocation(span_processors=[processor], tracer_provider=tracing.provider):
            for number in range(2):
                tracing.mark(f"step {number}")
                yield number

    for _ in steps():
        tracing.mark("caller")
    left = steps()
    next(left)
    left.close()
    tracing.mark("caller")
    assert processor.started == ["step 0", "step 1", "step 0"]


def test_the_same_block_again(tracing):
    """One object serves several blocks, also within each other."""
    processor = Processor()
    listening = runspan.invocation(span_processors=[processor], tracer_provider=tracing.provider)
    with listening, listening:
        tracing.mark("a")
    tracing.mark("out")
    with listening:
        tracing.mark("b")
    assert processor.started == ["a", "b"]


def test_raise_error_of_a_handler(tracing):
    """What a handler with ``raise_error`` raises about somebody else's span reaches who starts that span."""

    class Raising(BaseCallbackHandler):
        raise_error = True

        def on_chat_model_start(self, *args, **kwargs):
            raise KeyError("out")

    listening = runspan.invocation(callbacks=[Raising()], tracer_provider=tracing.provider)
    with listening, pytest.raises(KeyError, match="out"):
        tracing.tracer.start_span("chat", attributes=CHAT)


def test_a_processor_on_the_provider(tracing):
    """It hears the calls of everybody."""
    driven = Driven()
    tracing.provider.add_span_processor(CallbackSpanProcessor([driven]))
    tracing.tracer.start_span("chat", attributes={**CHAT, "gen_ai.input.messages": ASKED}).end()
    tracing.mark("http")
    assert driven.one("on_chat_model_start").args == ([[HumanMessage("hello")]],)
    assert driven.events == ["on_chat_model_start", "on_llm_end"]
    assert isinstance(driven.one("on_llm_end").args[0].generations[0][0].message, AIMessage)


def test_without_a_provider(caplog, tracing):
    """Where nobody makes spans, one line says so and what to do; runs of LangChain are heard all the same."""
    _invocation._log_no_provider.cache_clear()
    driven = Driven()
    for _ in range(2):
        with runspan.invocation(callbacks=[driven]) as handler:
            Model(tracing=tracing).invoke("x", {"callbacks": [handler]})
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "Call runspan.configure()" in record.getMessage()
    assert driven.events == ["on_chat_model_start", "on_llm_end"] * 2
