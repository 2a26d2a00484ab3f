"""``stream_events(version="v3")``: newer than the lowest versions, so ``make lowest`` leaves this file out."""

import asyncio

import pytest
from langchain_core.runnables import RunnableLambda

from tests.context.shapes import ChattyModel, Model, SyncStreamModel, body, straight_graph

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.newest]


@pytest.mark.parametrize("model", [ChattyModel, SyncStreamModel])
def test_events_of_a_model(tracing, model):
    """The spans of a model that is read event by event are under it; its reader's are not."""
    for _ in model(tracing=tracing).stream_events("x", tracing.config, version="v3"):
        tracing.mark("caller")
    tracing.mark("caller")
    assert [line for line in tracing.text().splitlines() if line != "caller"] == [
        "chat",
        "  chunk",
        "  chunk",
        "  chunk",
    ]


async def test_events_of_a_model_asynchronously(tracing):
    """The same where the model works in a task of its own."""
    stream = await ChattyModel(tracing=tracing).astream_events("x", tracing.config, version="v3")
    async for _ in stream:
        tracing.mark("caller")
    async with asyncio.timeout(5):
        while tracing.handler.open_runs:  # the model's own task reports its end after the last event
            await asyncio.sleep(0)
    tracing.mark("caller")
    assert [line for line in tracing.text().splitlines() if line != "caller"] == [
        "chat",
        "  chunk",
        "  chunk",
        "  chunk",
    ]
    assert tracing.one("chat").attributes["gen_ai.response.time_to_first_chunk"] > 0


async def test_a_model_in_a_lambda(tracing):
    """A model whose events a lambda reads is under the lambda, and the lambda's own spans stay beside it."""

    async def read(x):
        stream = await ChattyModel(tracing=tracing).astream_events("x", version="v3")
        async for _ in stream:
            await asyncio.sleep(0)
        tracing.mark("after")
        return x

    await RunnableLambda(lambda x: x, afunc=read, name="outer").ainvoke("x", tracing.config)
    assert tracing.text() == "outer\n  chat\n    chunk\n    chunk\n    chunk\n  after"


GRAPH = """\
LangGraph
  one
    do one
      do one work
  two
    ask
      ask work
    chat
      http
    do two
      do two work"""


def _graph(tracing):
    last = body(tracing, "do two", lambda message: {"values": ["two"]})
    return straight_graph(
        one=body(tracing, "do one", lambda state: {"values": ["one"]}),
        two=body(tracing, "ask", lambda state: "x") | Model(tracing=tracing) | last,
    )


def test_events_of_a_graph(tracing):
    """A graph that is read event by event has its nodes and models in place, and the reader's spans outside."""
    for _ in _graph(tracing).stream_events({"values": []}, tracing.config, version="v3"):
        tracing.mark("caller")
    tracing.mark("caller")
    assert "\n".join(line for line in tracing.text().splitlines() if line != "caller") == GRAPH


async def test_events_of_a_graph_asynchronously(tracing):
    """The same asynchronously."""
    stream = await _graph(tracing).astream_events({"values": []}, tracing.config, version="v3")
    async for _ in stream:
        tracing.mark("caller")
    tracing.mark("caller")
    assert "\n".join(line for line in tracing.text().splitlines() if line != "caller") == GRAPH
