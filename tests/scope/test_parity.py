"""Callback handlers driven by runspan hear what those hear that LangChain drives, in the same invocation."""

import asyncio
import contextlib

import pytest
from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.language_models.llms import create_base_retry_decorator
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from runspan import CallbackSpanProcessor, OpenTelemetryCallbackHandler
from tests.context.shapes import SHAPES
from tests.context.ways import WAYS, abatch, batch, call
from tests.fakes import Completion, Model, Retriever, body, straight_graph, tool
from tests.recorders import AsyncDriven, Driven, Recorder
from tests.waiting import timed_out

SIDE_BY_SIDE = {"parallel", "branches", "agent"}


@pytest.fixture(params=[Driven, AsyncDriven])
def driven(request):
    """A handler that runspan drives."""
    return request.param()


def listen(tracing, driven):
    """Have LangChain drive one handler and runspan another."""
    native = Recorder()
    tracing.driven_by_langchain = [native]
    tracing.handler = OpenTelemetryCallbackHandler(callbacks=[driven], tracer_provider=tracing.provider)
    return native


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", WAYS)
async def test_every_shape_called_every_way(tracing, driven, shape, way):
    """The events, their order and their payloads are the same, run by run, and all in all where one thing works."""
    native = listen(tracing, driven)
    made = SHAPES[shape](tracing)
    with contextlib.suppress(ValueError):  # LangChain does not retry streams
        await call(way, tracing, made)
    assert await tracing.handler.aflush()

    assert native.heard
    assert driven.by_run() == native.by_run()
    if shape not in SIDE_BY_SIDE and way not in {batch, abatch}:
        assert driven.heard == native.heard


@pytest.mark.parametrize("shape", ["sequence", "agent", "retriever", "subgraph"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_processor_on_the_provider(tracing, shape, way):
    """A callback processor that is added to the provider drives its handlers in the same way."""
    native, driven = Recorder(), Driven()
    tracing.driven_by_langchain = [native]
    tracing.provider.add_span_processor(CallbackSpanProcessor([driven]))
    made = SHAPES[shape](tracing)
    await call(way, tracing, made)

    assert driven.by_run() == native.by_run()


def failing(given):
    raise ValueError("no")


async def afailing(given):
    raise ValueError("no")


class FailingModel(Model):
    """A model that fails after its first chunk."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        raise ValueError("no")

    def _chunks(self, messages):
        yield super()._chunks(messages)[0]
        raise ValueError("no")


class RetryingCompletion(Completion):
    """A completion model that tries twice, and says so as LangChain's own do."""

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        tries = []
        run_manager.on_text("asking")

        @create_base_retry_decorator([ValueError], max_retries=2, run_manager=run_manager)
        def ask():
            tries.append(1)
            if len(tries) == 1:
                raise ValueError("no")
            return super(RetryingCompletion, self)._generate(prompts)

        return ask()


def errors(tracing):
    return {
        "chain": body(tracing, "first") | RunnableLambda(failing, afunc=afailing),
        "model": body(tracing, "first") | FailingModel(tracing=tracing),
        "retriever": body(tracing, "first") | Retriever(found=ValueError("no")),
        "graph": straight_graph(one=RunnableLambda(failing, afunc=afailing)),
    }


@pytest.mark.parametrize("what", ["chain", "model", "retriever", "graph"])
@pytest.mark.parametrize("way", WAYS[:4])
async def test_errors(tracing, driven, what, way):
    """Handlers get the exception itself, as they do from LangChain."""
    native = listen(tracing, driven)
    runnable = errors(tracing)[what]
    given = {"values": ["x"]} if what == "graph" else "x"
    shape = SHAPES["lambda"](tracing)._replace(runnable=runnable, given=given)
    with pytest.raises(ValueError, match="no"):
        await call(way, tracing, shape)
    await tracing.handler.aflush()

    assert any(each.event.endswith("error") and isinstance(each.args[0], ValueError) for each in driven.heard)
    assert driven.heard == native.heard


async def test_a_tool_that_fails(tracing, driven):
    """The error of a tool is told."""
    native = listen(tracing, driven)
    broken = tool(tracing)
    broken.func, broken.coroutine = failing, afailing
    with pytest.raises(TypeError):
        broken.invoke({"x": 1}, tracing.config)
    with pytest.raises(TypeError):
        await broken.ainvoke({"x": 1}, tracing.config)
    await tracing.handler.aflush()
    assert driven.events == ["on_tool_start", "on_tool_error"] * 2
    assert driven.heard == native.heard


def test_retries_and_texts(tracing):
    """What a run manager says in between is told."""
    driven = Driven()
    native = listen(tracing, driven)
    RetryingCompletion(tracing=tracing).invoke("x", tracing.config)
    assert driven.events == ["on_llm_start", "on_text", "on_retry", "on_llm_end"]
    assert driven.heard == native.heard


async def test_custom_events(tracing, driven):
    """What the application dispatches is told, in sync and async code."""
    native = listen(tracing, driven)

    def work(given):
        dispatch_custom_event("progress", {"done": 1})
        return given

    async def awork(given):
        await adispatch_custom_event("progress", {"done": 1})
        return given

    runnable = RunnableLambda(work, afunc=awork)
    runnable.invoke("x", tracing.config)
    await runnable.ainvoke("x", tracing.config)
    await tracing.handler.aflush()
    assert driven.events == ["on_chain_start", "on_custom_event", "on_chain_end"] * 2
    assert driven.heard == native.heard


async def test_tokens(tracing, driven):
    """A stream is told token by token, with the chunks; what a handler prints of the keywords has their order."""
    native = listen(tracing, driven)
    model = Model(tracing=tracing)
    list(model.stream("x", tracing.config))
    [_ async for _ in model.astream("x", tracing.config)]
    await tracing.handler.aflush()
    assert driven.events.count("on_llm_new_token") >= 6
    assert driven.heard == native.heard
    assert [list(each.kwargs) for each in driven.heard] == [list(each.kwargs) for each in native.heard]


@pytest.mark.newest
async def test_events_of_the_third_version(tracing, driven):
    """The events of ``stream_events(version="v3")`` are told."""
    native = listen(tracing, driven)
    stream = Model(tracing=tracing).stream_events("x", tracing.config, version="v3")
    assert stream.output.text == "three"
    await tracing.handler.aflush()
    assert "on_stream_event" in driven.events
    assert driven.heard == native.heard


def test_hidden_runs(tracing):
    """A run that has no span is told all the same, also by a processor on the provider."""
    driven, everywhere = Driven(), Driven()
    native = listen(tracing, driven)
    tracing.provider.add_span_processor(CallbackSpanProcessor([everywhere]))
    hidden = body(tracing, "hidden").with_config(tags=["langsmith:hidden"])
    (body(tracing, "shown") | hidden).invoke("x", tracing.config)
    assert driven.heard == native.heard == everywhere.heard
    assert len(driven.heard) == 6
    assert tracing.named("hidden") == []


async def test_a_stream_that_is_left_early(tracing, driven):
    """What LangChain still says of the runs within it is told, though their spans have ended."""
    native = listen(tracing, driven)
    chain = body(tracing, "first") | Model(tracing=tracing)
    stream = chain.stream("x", tracing.config)
    next(stream)
    stream.close()
    astream = chain.astream("x", tracing.config)
    await anext(astream)
    await astream.aclose()
    await asyncio.sleep(0)
    await tracing.handler.aflush()
    assert driven.by_run() == native.by_run()
    assert any("error" in event for event in driven.events)


async def test_a_cancelled_model(tracing, driven):
    """LangChain says nothing of a model that was cancelled, and so do we; of the chain around it it does."""
    native = listen(tracing, driven)

    await timed_out((body(tracing, "first") | Model(hangs_after=0)).ainvoke("x", tracing.config))
    await tracing.handler.aflush()
    assert driven.by_run() == native.by_run()
    assert driven.events[-1] == "on_chain_error"
    assert [span.name for span in tracing.spans if span.attributes.get("langchain.run.outcome") == "cancelled"] == [
        "chat",
        "RunnableSequence",
    ]


def test_live_objects(tracing):
    """Handlers get the objects themselves, not copies."""
    driven = Driven()
    native = listen(tracing, driven)
    Model(tracing=tracing).invoke([AIMessage("x")], tracing.config)
    assert driven.one("on_llm_end").args[0] is native.one("on_llm_end").args[0]
    assert driven.one("on_chat_model_start").args[0][0][0] is native.one("on_chat_model_start").args[0][0][0]
