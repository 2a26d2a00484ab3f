"""What a task or thread does after the run that began it: it stays in the trace, and what the caller does stays out."""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Iterable

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import OpenTelemetryCallbackHandler
from runspan.testing import RecordedTrace
from tests.fakes import Model, State, body, straight_graph
from tests.tracing import Tracing

pytestmark = pytest.mark.usefixtures("quiet")

REMEMBERED = """\
answer
  early
  save
  RunnableSequence
    first
      first work
    chat
      http
  save again
  chat
    http
  own handler
    own handler work
  save at last
caller
caller"""


async def _remember(tracing: Tracing) -> None:
    """Work as a memory writer does: spans of its own, chains, streams, and a call that brings its handler."""
    tracing.mark("save")
    await (body(tracing, "first") | Model(tracing=tracing)).ainvoke("x")
    tracing.mark("save again")
    async for _ in Model(tracing=tracing).astream("x"):
        pass
    await body(tracing, "own handler").ainvoke("x", tracing.config)
    tracing.mark("save at last")


def _starter(tracing: Tracing, work: Callable[[], Awaitable[None]], tasks: list[asyncio.Task[None]]) -> RunnableLambda:
    """Make a lambda that answers while the task it began still waits."""

    async def later(go_on: asyncio.Event) -> None:
        await go_on.wait()
        await work()

    async def answer(go_on):
        tracing.mark("early")
        tasks.append(asyncio.create_task(later(go_on)))
        return "42"

    return RunnableLambda(answer, name="answer")


async def _mark(tracing: Tracing, name: str) -> None:
    tracing.mark(name)


async def test_what_a_task_does_after_its_invocation(tracing):
    """Spans, chains and streams of a late task are below the run that began it; the caller's own task is not."""
    tasks, go_on = [], asyncio.Event()
    await _starter(tracing, lambda: _remember(tracing), tasks).ainvoke(go_on, tracing.config)
    go_on.set()
    await tasks[0]
    await asyncio.create_task(_mark(tracing, "caller"))
    tracing.mark("caller")
    assert tracing.trace.tree() == REMEMBERED


async def test_what_it_does_while_the_caller_goes_on(tracing):
    """The caller's next invocation and a late task of the last do not mix, at the same time in one event loop."""
    tasks, go_on = [], asyncio.Event()
    await _starter(tracing, lambda: _remember(tracing), tasks).ainvoke(go_on, tracing.config)
    go_on.set()
    tracing.mark("caller")
    await asyncio.gather(tasks[0], body(tracing, "next").ainvoke("x", tracing.config))
    tracing.mark("caller")
    texts = {name: RecordedTrace(spans).tree() for name, spans in _traces(tracing).items()}
    assert texts == {
        "answer": REMEMBERED.removesuffix("\ncaller\ncaller"),
        "next": "next\n  next work",
        "caller": "caller\ncaller",
    }


def _traces(tracing: Tracing) -> dict[str, tuple]:
    """Group the spans by trace, under the name of its root."""
    roots = {span.context.trace_id: span.name for span in tracing.spans if span.parent is None}
    return {
        name: tuple(span for span in tracing.spans if roots[span.context.trace_id] == name) for name in roots.values()
    }


async def test_a_late_chain_that_goes_on_when_its_parent_ends(tracing):
    """A chain that a task began before the end is below that run, and so is what the task does after the chain."""
    go_on, tasks = asyncio.Event(), []

    async def inner(x):
        await go_on.wait()
        return await body(tracing, "deep").ainvoke(x)

    async def later():
        await RunnableLambda(lambda x: x, afunc=inner, name="inner").ainvoke("x")
        tracing.mark("save")

    async def answer(x):
        tasks.append(asyncio.create_task(later()))
        while tracing.handler.open_runs < 2:
            await asyncio.sleep(0)
        return x

    await RunnableLambda(lambda x: x, afunc=answer, name="answer").ainvoke("x", tracing.config)
    go_on.set()
    await tasks[0]
    assert tracing.trace.tree() == "answer\n  inner\n    deep\n      deep work\n  save"


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_what_a_thread_does_after_its_invocation(tracing, way):
    """A thread that a node of a graph began, with its context, stays in the trace, below the node."""
    go_on, threads = threading.Event(), []

    def later():
        go_on.wait(30)
        tracing.mark("save")
        Model(tracing=tracing).invoke("x")

    def node(state: State) -> State:
        threads.append(threading.Thread(target=contextvars.copy_context().run, args=(later,)))
        threads[0].start()
        return {"values": [1]}

    graph = straight_graph(node=node)
    if way == "invoke":
        graph.invoke({"values": []}, tracing.config)
    else:
        _drain(graph.stream({"values": []}, tracing.config))
    caller = threading.Thread(target=contextvars.copy_context().run, args=(tracing.mark, "caller"))
    caller.start()
    caller.join()
    go_on.set()
    threads[0].join()
    assert tracing.trace.tree() == "invoke_workflow\n  node\n    save\n    chat\n      http\ncaller"


def _drain(stream: Iterable[object]) -> None:
    for _ in stream:
        pass


async def test_what_a_task_of_a_tool_does(tracing):
    """A task that a tool began stays in the trace, below the tool."""
    tasks, go_on = [], asyncio.Event()

    async def later():
        await go_on.wait()
        tracing.mark("save")

    async def look() -> str:
        tasks.append(asyncio.create_task(later()))
        return "seen"

    await StructuredTool.from_function(coroutine=look, name="look", description="Looks.").ainvoke({}, tracing.config)
    go_on.set()
    await tasks[0]
    assert tracing.trace.tree() == "execute_tool look\n  save"


async def test_listeners_hear_late_tasks(tracing):
    """Those who heard the invocation hear what its late task does, and nothing of its caller or of another's."""
    heard, others = InMemorySpanExporter(), InMemorySpanExporter()

    def listener(exporter):
        processor = SimpleSpanProcessor(exporter)
        return {
            "callbacks": [OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, span_processors=[processor])]
        }

    async def remember():
        tracing.mark("save")
        await body(tracing, "inner").ainvoke("x")
        with tracing.span("rest"):
            tracing.mark("within")
        await body(tracing, "another's").ainvoke("x", listener(others))
        tracing.mark("save at last")

    tasks, go_on = [], asyncio.Event()
    await _starter(tracing, remember, tasks).ainvoke(go_on, listener(heard))
    tracing.mark("caller")
    go_on.set()
    await tasks[0]
    tracing.mark("caller")
    assert RecordedTrace(heard.get_finished_spans()).tree() == (
        "answer\n  early\n  save\n  inner\n    inner work\n  rest\n    within\n  save at last"
    )
    assert [span.name for span in others.get_finished_spans()] == ["another's work", "another's"]


async def test_a_late_task_below_the_callers_span(tracing):
    """If the caller had a span open, a late task is below that one, as its invocation is, and heard all the same."""
    heard = InMemorySpanExporter()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, span_processors=[SimpleSpanProcessor(heard)]
    )
    tasks, go_on = [], asyncio.Event()
    with tracing.span("request"):
        await _starter(tracing, lambda: _mark(tracing, "save"), tasks).ainvoke(go_on, {"callbacks": [handler]})
    go_on.set()
    await tasks[0]
    assert tracing.trace.tree() == "request\n  answer\n    early\n  save"
    assert [span.name for span in heard.get_finished_spans()] == ["early", "answer", "save"]


async def test_nobody_hears_late_tasks_of_a_handler_that_is_shut_down(tracing):
    """A handler that is shut down takes its listeners with it."""
    heard = InMemorySpanExporter()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, span_processors=[SimpleSpanProcessor(heard)]
    )
    tasks, go_on = [], asyncio.Event()
    await _starter(tracing, lambda: _mark(tracing, "save"), tasks).ainvoke(go_on, {"callbacks": [handler]})
    await asyncio.to_thread(handler.shutdown)
    go_on.set()
    await tasks[0]
    assert [span.name for span in heard.get_finished_spans()] == ["early", "answer"]
    assert tracing.trace.tree() == "answer\n  early\n  save"
