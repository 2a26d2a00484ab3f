"""What a graph's checkpointer and cache do is under the graph, though LangGraph has them work in other contexts."""

import asyncio
from typing import Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import CachePolicy
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import OpenTelemetryCallbackHandler
from runspan.testing import RecordedTrace
from tests.fakes import State, body
from tests.tracing import Tracing, sorted_text

pytestmark = pytest.mark.usefixtures("quiet")


class Saver(InMemorySaver):
    """A checkpointer with an instrumented database."""

    def __init__(self, tracing: Tracing) -> None:
        super().__init__()
        self.tracing = tracing

    def get_tuple(self, *args, **kwargs):
        self.tracing.mark("SELECT")
        return super().get_tuple(*args, **kwargs)

    def put(self, *args, **kwargs):
        self.tracing.mark("INSERT checkpoint")
        return super().put(*args, **kwargs)

    def put_writes(self, *args, **kwargs):
        self.tracing.mark("INSERT writes")
        return super().put_writes(*args, **kwargs)


class AsyncSaver(Saver):
    """One that waits for its database, in a task of its own."""

    async def aput(self, *args, **kwargs):
        await asyncio.sleep(0)
        return await asyncio.to_thread(self.put, *args, **kwargs)

    async def aput_writes(self, *args, **kwargs):
        await asyncio.sleep(0)
        return await asyncio.to_thread(self.put_writes, *args, **kwargs)


class Cache(InMemoryCache):
    """A cache with an instrumented store."""

    def __init__(self, tracing: Tracing) -> None:
        super().__init__()
        self.tracing = tracing

    def set(self, *args, **kwargs):
        self.tracing.mark("SET")
        return super().set(*args, **kwargs)


def _graph(tracing: Tracing, saver: Saver) -> Pregel:
    inner = StateGraph(State)
    inner.add_node("deep", body(tracing, "work", lambda _: {"values": [1]}))
    inner.add_edge(START, "deep")
    outer = StateGraph(State)
    outer.add_node("sub", inner.compile(), cache_policy=CachePolicy())
    outer.add_edge(START, "sub")
    outer.add_edge("sub", END)
    return outer.compile(checkpointer=saver, cache=Cache(tracing), name="shop")


async def _run(tracing: Tracing, way: str, graph: Pregel, config: dict[str, Any], durability: str) -> None:
    given = {"values": ["x"]}
    match way:
        case "invoke":
            graph.invoke(given, config, durability=durability)
        case "ainvoke":
            await graph.ainvoke(given, config, durability=durability)
        case "stream":
            for _ in graph.stream(given, config, durability=durability):
                tracing.mark("caller")
        case "astream":
            async for _ in graph.astream(given, config, durability=durability):
                tracing.mark("caller")
                await asyncio.create_task(_mark(tracing, "caller"))


async def _mark(tracing: Tracing, name: str) -> None:
    tracing.mark(name)


SAVED = """\
invoke_workflow shop
  INSERT checkpoint
  INSERT checkpoint
  INSERT checkpoint
  INSERT writes
  INSERT writes
  SELECT
  SET
  sub
    invoke_workflow
      INSERT checkpoint
      INSERT checkpoint
      INSERT checkpoint
      INSERT writes
      INSERT writes
      SELECT
      deep
        work
          work work"""

SAVED_AT_THE_END = """\
invoke_workflow shop
  INSERT checkpoint
  SELECT
  SET
  sub
    invoke_workflow
      SELECT
      deep
        work
          work work"""


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("saver", [Saver, AsyncSaver])
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_what_is_saved_is_under_its_graph(tracing, way, saver, durability):
    """The spans of checkpointers and caches are under the graph they save; those of a stream's consumer are not."""
    config = {**tracing.config, "configurable": {"thread_id": "1"}}
    await _run(tracing, way, _graph(tracing, saver(tracing)), config, durability)
    saved = SAVED_AT_THE_END if durability == "exit" else SAVED
    assert sorted_text(tracing.text(without="caller")) == saved


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_listeners_hear_what_is_saved(tracing, way):
    """The span processors of an invocation hear the spans of its checkpointer and cache, not the consumer's."""
    heard = InMemorySpanExporter()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, span_processors=[SimpleSpanProcessor(heard)]
    )
    config = {"callbacks": [handler], "configurable": {"thread_id": "1"}}
    await _run(tracing, way, _graph(tracing, Saver(tracing)), config, "async")
    assert sorted_text(RecordedTrace(heard.get_finished_spans()).tree()) == SAVED


async def test_what_the_consumer_saves_is_the_consumers(tracing):
    """A state that the consumer of a stream updates, in a task or thread of its own, is not the streamed graph's."""
    graph = _graph(tracing, Saver(tracing))
    config = {**tracing.config, "configurable": {"thread_id": "1"}}
    second, third = ({"configurable": {"thread_id": each}} for each in "23")
    async for _ in graph.astream({"values": ["x"]}, config):
        await asyncio.to_thread(graph.update_state, second, {"values": ["y"]}, as_node="sub")
        await asyncio.create_task(graph.aupdate_state(third, {"values": ["y"]}, as_node="sub"))
    at_the_top = [line for line in tracing.text().splitlines() if not line.startswith(" ")]
    update = ["SELECT", "INSERT checkpoint"]
    assert at_the_top == ["invoke_workflow shop", *update, *update]
