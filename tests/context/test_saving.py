"""What a graph's checkpointer and cache do is under the graph, though LangGraph has them work in other contexts."""

import asyncio
import threading
from typing import Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import CachePolicy
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import runspan
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


def _parallel(saver: BaseCheckpointSaver) -> Pregel:
    graph = StateGraph(State)
    for name in ("left", "right"):
        graph.add_node(name, lambda _: {"values": [1]})
        graph.add_edge(START, name)
    return graph.compile(checkpointer=saver, name="shop")


@task
def _work(given):
    return given


def _tasks(saver: BaseCheckpointSaver) -> Pregel:
    @entrypoint(checkpointer=saver)
    def shop(given):
        return [each.result() for each in (_work(given), _work(given))]

    return shop


WITHOUT_CONTEXT = {
    "nodes": lambda graph, config: graph.invoke({"values": []}, config),
    "nodes, messages": lambda graph, config: list(graph.stream({"values": []}, config, stream_mode="messages")),
    "tasks": lambda graph, config: graph.invoke({"values": []}, config),
}


@pytest.mark.parametrize("way", WITHOUT_CONTEXT)
def test_what_is_saved_without_the_context(tracing, way):
    """LangGraph saves what parallel nodes wrote without the context: a linked checkpointer knows its graph."""
    saver = runspan.link_resumes(Saver(tracing))
    graph = _tasks(saver) if way == "tasks" else _parallel(saver)
    WITHOUT_CONTEXT[way](graph, {**tracing.config, "configurable": {"thread_id": "1"}})
    (graph_span,) = (span for span in tracing.spans if span.parent is None)
    saved = [span for span in tracing.spans if span.name.startswith("INSERT")]
    assert sum(span.name == "INSERT writes" for span in saved) >= 2
    # A task that is done at once is saved by the function that started it, with its context.
    around = (graph_span, *tracing.named("shop"))
    assert {span.parent.span_id for span in saved} <= {span.context.span_id for span in around}


@pytest.mark.newest
async def test_what_is_saved_as_events_are_streamed(tracing):
    """So it does where LangGraph streams events of version 3, in tasks of which most know no run."""
    graph = _parallel(runspan.link_resumes(Saver(tracing)))
    config = {**tracing.config, "configurable": {"thread_id": "1"}}
    async for _ in await graph.astream_events({"values": []}, config, version="v3"):
        pass
    graph_span = tracing.one("invoke_workflow shop")
    saved = [span for span in tracing.spans if span.name.startswith("INSERT")]
    assert {span.parent.span_id if span.parent else None for span in saved} == {graph_span.context.span_id}


def test_what_the_user_saves_meanwhile(tracing):
    """A state that the user updates while its graph is streamed is the user's, also with such a checkpointer."""
    graph = _parallel(runspan.link_resumes(Saver(tracing)))
    config = {"configurable": {"thread_id": "1"}}
    updates = 0
    for _ in graph.stream({"values": []}, {**tracing.config, **config}):
        updates += 1
        thread = threading.Thread(target=graph.update_state, args=(config, {"values": ["y"]}, "left"))
        thread.start()
        thread.join()
    at_the_top = [span.name for span in tracing.spans if span.parent is None]
    update = ["INSERT checkpoint", "INSERT writes", "SELECT"] * updates
    assert sorted(at_the_top) == sorted([*update, "invoke_workflow shop"])


def test_a_saver_that_takes_no_path(tracing):
    """A checkpointer of before there were paths of tasks is called as LangGraph calls it."""

    class Older(InMemorySaver):
        def put_writes(self, config, writes, task_id):
            tracing.mark("INSERT writes")
            super().put_writes(config, writes, task_id)

    graph = _parallel(runspan.link_resumes(Older()))
    graph.invoke({"values": []}, {**tracing.config, "configurable": {"thread_id": "1"}})
    graph_span = tracing.one("invoke_workflow shop")
    assert {span.parent.span_id for span in tracing.named("INSERT writes")} == {graph_span.context.span_id}
