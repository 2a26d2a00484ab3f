"""Work that outlives the run it was started in."""

import asyncio
import contextvars
import threading

import pytest
from langchain_core.runnables import RunnableLambda
from opentelemetry import context, trace
from opentelemetry.trace import Span

from runspan.runs.current_span import RunSpanProxy, current_in
from tests.fakes import Model, State, body, straight_graph

pytestmark = pytest.mark.usefixtures("quiet")


async def test_a_task_that_outlives_its_run_keeps_the_runs_in_it(tracing):
    """A run in a task that outlives the node it was started in goes on, with its own true end."""
    go_on = asyncio.Event()
    tasks = []

    async def later():
        await go_on.wait()
        tracing.mark("late")
        await Model(tracing=tracing).ainvoke("x", tracing.config)

    async def node(x):
        tasks.append(asyncio.create_task(RunnableLambda(lambda x: x, afunc=aside, name="aside").ainvoke(x)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return x

    async def aside(x):
        await later()
        return x

    await RunnableLambda(lambda x: x, afunc=node, name="node").ainvoke("x", tracing.config)
    assert tracing.handler.open_runs == 1
    tracing.mark("caller")
    go_on.set()
    await tasks[0]
    assert tracing.text(outliving="aside") == "node\n  aside\n    late\n    chat\n      http\ncaller"
    assert "langchain.run.outcome" not in tracing.one("aside").attributes


async def test_a_task_that_outlives_everything_is_the_callers(tracing):
    """Once all runs are over, a task that one of them started is under the caller's span."""
    go_on = asyncio.Event()
    tasks = []

    async def later():
        await go_on.wait()
        tracing.mark("late")

    async def node(x):
        tasks.append(asyncio.create_task(later()))
        return x

    with tracing.span("request"):
        await RunnableLambda(lambda x: x, afunc=node, name="node").ainvoke("x", tracing.config)
        go_on.set()
        await tasks[0]
    assert tracing.text() == "request\n  node\n  late"


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
async def test_a_task_that_outlives_its_node_is_under_the_graph(tracing, way):
    """While the graph goes on, a task that an ended node started is under the graph, and so are its runs."""
    go_on, done = asyncio.Event(), asyncio.Event()

    async def later():
        await go_on.wait()
        tracing.mark("late")
        await body(tracing, "aside").ainvoke("x")
        tracing.mark("later")
        done.set()

    async def one(state: State) -> State:
        asyncio.get_running_loop().tasks = asyncio.create_task(later())
        return {"values": [1]}

    async def two(state: State) -> State:
        go_on.set()
        await done.wait()
        tracing.mark("two work")
        return {"values": [2]}

    graph = straight_graph(one=one, two=two)
    if way == "ainvoke":
        await graph.ainvoke({"values": []}, tracing.config)
    else:
        async for _ in graph.astream({"values": []}, tracing.config):
            tracing.mark("caller")
    lines = tracing.text(without="caller").splitlines()
    assert lines == [
        "invoke_workflow",
        "  one",
        "  two",
        "    two work",
        "  late",
        "  aside",
        "    aside work",
        "  later",
    ]


def test_a_thread_that_outlives_its_run_keeps_the_run_in_it(tracing):
    """A run in a thread that outlives the lambda it was started in goes on, with its own true end."""
    go_on = threading.Event()
    threads = []

    def inner(x):
        go_on.wait(60)
        tracing.mark("late")
        return x

    def node(x):
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(RunnableLambda(inner, name="inner").invoke, x))
        thread.start()
        threads.append(thread)
        while tracing.handler.open_runs < 2:
            threading.Event().wait(0.001)
        return x

    RunnableLambda(node, name="node").invoke("x", tracing.config)
    assert tracing.handler.open_runs == 1
    tracing.mark("caller")
    go_on.set()
    threads[0].join(60)
    assert tracing.text(outliving="inner") == "node\n  inner\n    late\ncaller"


def test_a_stream_held_by_an_ended_run_ends_with_it(tracing):
    """A stream that a lambda started and did not finish ends with the lambda."""
    held = []

    def node(x):
        stream = Model(tracing=tracing).stream("x")
        next(stream)
        held.append(stream)
        return x

    RunnableLambda(node, name="node").invoke("x", tracing.config)
    assert tracing.handler.open_runs == 0
    assert tracing.text() == "node\n  chat [abandoned]\n    http"
    list(held[0])


def test_many_calls_in_one_context_leave_nothing_in_it(tracing):
    """A long-lived context does not grow with the calls made in it."""
    for _ in range(200):
        body(tracing, "one").invoke("x", tracing.config)
    last = current_in(context.get_current())
    assert type(last) is RunSpanProxy
    assert not isinstance(last.base, RunSpanProxy)
    assert last.run.parent is None


@pytest.mark.parametrize("call", [lambda *of: of[0].invoke(*of[1:]), lambda *of: list(of[0].stream(*of[1:]))])
def test_no_span_is_current_when_a_run_is_over(tracing, call):
    """OpenTelemetry's own object for no span is, as servers' instrumentations ask whether a request begins a trace."""
    call(RunnableLambda(lambda x: x, name="warm up"), "x", tracing.config)
    assert type(current_in(context.get_current())) is RunSpanProxy
    assert trace.get_current_span() is trace.INVALID_SPAN
    seen = []
    with tracing.span("caller") as caller:
        call(RunnableLambda(lambda _: seen.append(trace.get_current_span()), name="run"), "x", tracing.config)
        assert type(seen[0]) is RunSpanProxy
        assert isinstance(seen[0], Span)
        assert isinstance(trace.get_current_span(), Span)
        assert trace.get_current_span().get_span_context() == caller.get_span_context()
    with seen[0] as entered:
        assert entered is seen[0]
    assert trace.get_current_span() is trace.INVALID_SPAN
