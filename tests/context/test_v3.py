"""``stream_events(version="v3")``: newer than the lowest versions, so ``make lowest`` leaves this file out."""

import asyncio
import gc

import pytest
from langchain_core.runnables import RunnableLambda

from tests.context.shapes import SHAPES
from tests.fakes import Model, SyncStreamModel

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.newest]


@pytest.mark.parametrize("model", [Model, SyncStreamModel])
def test_events_of_a_model(tracing, model):
    """The spans of a model that is read event by event are under it; its reader's are not."""
    for _ in model(tracing=tracing, chunk_spans=True).stream_events("x", tracing.config, version="v3"):
        tracing.mark("caller")
    tracing.mark("caller")
    assert tracing.text(without="caller") == "chat\n  chunk\n  chunk\n  chunk"


async def test_events_of_a_model_asynchronously(tracing):
    """The same where the model works in a task of its own."""
    stream = await Model(tracing=tracing, chunk_spans=True).astream_events("x", tracing.config, version="v3")
    async for _ in stream:
        tracing.mark("caller")
    async with asyncio.timeout(30):
        while tracing.handler.open_runs:  # the model's own task reports its end after the last event
            await asyncio.sleep(0)
    tracing.mark("caller")
    assert tracing.text(without="caller") == "chat\n  chunk\n  chunk\n  chunk"
    assert tracing.one("chat").attributes["gen_ai.response.time_to_first_chunk"] > 0


def test_events_that_are_left_early(tracing):
    """A reader that leaves, in a context that goes on, leaves no run open; what came until then is told."""
    for _ in range(3):
        for _ in Model(tracing=tracing, chunk_spans=True).stream_events("x", tracing.config, version="v3"):
            break
    tracing.settle()
    spans = tracing.named("chat")
    assert [span.attributes["langchain.run.outcome"] for span in spans] == ["abandoned"] * 3
    assert [span.parent for span in spans] == [None] * 3


async def test_events_that_are_left_early_asynchronously(tracing):
    """An async model goes on in its task when its reader leaves, and ends as ever."""
    for _ in range(3):
        stream = await Model(tracing=tracing, chunk_spans=True).astream_events("x", tracing.config, version="v3")
        async for _ in stream:
            break
        del stream
    gc.collect()
    async with asyncio.timeout(30):
        while tracing.handler.open_runs:
            await asyncio.sleep(0)
    assert [span.attributes.get("langchain.run.outcome") for span in tracing.named("chat")] == [None] * 3


async def test_a_model_in_a_lambda(tracing):
    """A model whose events a lambda reads is under the lambda, and the lambda's own spans stay beside it."""

    async def read(x):
        stream = await Model(tracing=tracing, chunk_spans=True).astream_events("x", version="v3")
        async for _ in stream:
            await asyncio.sleep(0)
        tracing.mark("after")
        return x

    await RunnableLambda(lambda x: x, afunc=read, name="outer").ainvoke("x", tracing.config)
    assert tracing.text() == "outer\n  chat\n    chunk\n    chunk\n    chunk\n  after"


def test_events_of_a_graph(tracing):
    """A graph that is read event by event has its nodes and models in place, and the reader's spans outside."""
    shape = SHAPES["graph"](tracing)
    for _ in shape.runnable.stream_events(shape.given, tracing.config, version="v3"):
        tracing.mark("caller")
    tracing.mark("caller")
    assert tracing.text(without="caller") == shape.trace


async def test_events_of_a_graph_asynchronously(tracing):
    """The same asynchronously."""
    shape = SHAPES["graph"](tracing)
    stream = await shape.runnable.astream_events(shape.given, tracing.config, version="v3")
    async for _ in stream:
        tracing.mark("caller")
    tracing.mark("caller")
    assert tracing.text(without="caller") == shape.trace
