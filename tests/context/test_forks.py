"""Processes that are forked while runs are open: those are the parent's to end, what starts in the child is its own."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import warnings

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import OpenTelemetryCallbackHandler
from runspan._forking import fork_safe_lock
from runspan.processors.console import TreeSpanExporter
from runspan.runs.tracing import end_open_runs
from tests.otlp_receivers import HttpReceiver


def fork():
    """Fork with other threads about, as servers do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, from Python 3.12 on
        return os.fork()


def in_child(function):
    """Call a function in a forked child and return, in the parent, what it returned."""
    reading, writing = os.pipe()
    child = fork()
    if child == 0:
        finish(writing, function)
    return result_of(child, reading, writing)


def finish(writing, function):
    """End the child with the result of a function."""
    status = 1
    try:
        with os.fdopen(writing, "w") as pipe:
            json.dump(function(), pipe)
        status = 0
    finally:
        os._exit(status)


def result_of(child, reading, writing):
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return json.loads(text)


def ended_since(tracing, before=0):
    """Return the spans after the first so many: name, id of the parent, whether that is of another process."""
    return [
        [span.name, span.parent and span.parent.span_id, bool(span.parent and span.parent.is_remote)]
        for span in tracing.spans[before:]
    ]


def test_a_child_has_no_runs_and_its_spans_are_below_the_run_that_forked(tracing, quiet):
    """What the child makes, by LangChain or not, is below the tool that forked; it ends no span of its parent."""
    found = {}

    def work():
        handler = tracing.handler
        found = [handler.open_runs, trace.get_current_span().is_recording()]
        trace.get_current_span().set_attribute("set by", "the child")
        trace.get_current_span().end()
        tracing.mark("marked")
        RunnableLambda(lambda _: tracing.mark("within"), name="chain").invoke(1, tracing.config)
        RunnableLambda(lambda _: None, name="other context").invoke(1, tracing.config)
        found += [handler.force_flush(), handler.shutdown()]
        end_open_runs(tracing.provider)
        return [*found, ended_since(tracing)]

    @tool
    def forks(x: int) -> str:
        """Fork."""
        found["id"] = trace.get_current_span().get_span_context().span_id
        found["child"] = in_child(work)
        return "done"

    RunnableLambda(lambda x: forks.invoke({"x": x}), name="agent").invoke(1, tracing.config)
    open_runs, is_recording, flushed, shut_down, spans = found["child"]
    assert (open_runs, is_recording, flushed, shut_down) == (0, False, True, True)
    by_name = {name: [parent, is_remote] for name, parent, is_remote in spans}
    assert list(by_name) == ["marked", "within", "chain", "other context"]
    assert by_name["marked"] == by_name["chain"] == by_name["other context"] == [found["id"], True]
    assert not by_name["within"][1]
    assert tracing.text() == "agent\n  execute_tool forks"
    assert "set by" not in tracing.one("execute_tool forks").attributes


def test_a_child_that_goes_on_with_the_chain_ends_none_of_it(tracing, quiet):
    """A child that returns through the runs it was forked in ends none of their spans; then they are past."""
    reading, writing = os.pipe()
    ids = {}

    @tool
    def forks(x: int) -> int:
        """Fork, and go on in both."""
        ids["tool"] = trace.get_current_span().get_span_context().span_id
        return fork()

    def agent(x):
        ids["agent"] = trace.get_current_span().get_span_context().span_id
        pid = forks.invoke({"x": x})
        tracing.mark("after the tool")
        return pid

    with tracing.span("caller"):
        pid = RunnableLambda(agent, name="agent").invoke(1, tracing.config)
        tracing.mark("after the agent")
        caller = trace.get_current_span().get_span_context().span_id
        if pid == 0:
            finish(writing, lambda: ended_since(tracing))
        in_the_child = result_of(pid, reading, writing)
    assert in_the_child == [["after the tool", ids["agent"], True], ["after the agent", caller, False]]
    assert tracing.text() == "caller\n  agent\n    execute_tool forks\n    after the tool\n  after the agent"


def test_between_the_chunks_of_a_stream_a_child_is_the_callers(tracing, quiet):
    """A stream that waits for its consumer is not where the child works; left or collected there, it ends nothing."""
    chain = RunnableLambda(lambda x: x, name="first") | RunnableLambda(lambda x: x, name="second")

    def work():
        nonlocal stream
        tracing.mark("marked")
        stream.close()
        del stream
        gc.collect()
        tracing.handler.force_flush()
        return ended_since(tracing, before)

    with tracing.span("caller") as caller:
        stream = chain.stream(1, tracing.config)
        next(stream)
        before = len(tracing.spans)
        assert in_child(work) == [["marked", caller.get_span_context().span_id, False]]
        list(stream)
    assert tracing.text() == "caller\n  RunnableSequence\n    first\n    second"


def test_a_child_works_for_the_listeners_of_its_invocation(tracing, quiet):
    """Processors and handlers of the invocation hear what the child does, async ones on the child's own event loop."""
    heard = InMemorySpanExporter()
    told = []

    class Asynchronous(AsyncCallbackHandler):
        async def on_chain_start(self, serialized, inputs, **event):
            told.append(event["name"])

    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, span_processors=[SimpleSpanProcessor(heard)], callbacks=[Asynchronous()]
    )

    async def again():
        await RunnableLambda(lambda x: x, name="in the child").ainvoke(1)
        assert await handler.aflush()
        return [told, [span.name for span in heard.get_finished_spans()]]

    async def agent(x):
        await handler.aflush()
        return in_child(lambda: asyncio.run(again()))

    async def main():
        result = await RunnableLambda(agent, name="agent").ainvoke(1, {"callbacks": [handler]})
        await handler.aflush()
        return result

    assert asyncio.run(main()) == [["agent", "in the child"], ["in the child"]]
    assert (told, [span.name for span in heard.get_finished_spans()]) == (["agent"], ["agent"])


def test_a_child_that_a_copied_context_forks_is_below_its_tool(tracing, quiet):
    """A thread with a copy of an async tool's context forks: the tool's thread is gone, its task still says so."""
    found = {}

    @tool
    async def forks(x: int) -> str:
        """Fork in a thread."""
        found["id"] = trace.get_current_span().get_span_context().span_id
        found["child"] = await asyncio.to_thread(in_child, lambda: (tracing.mark("marked"), ended_since(tracing))[1])
        return "done"

    asyncio.run(forks.ainvoke({"x": 1}, tracing.config))
    assert found["child"] == [["marked", found["id"], True]]
    assert tracing.text() == "execute_tool forks"


def test_a_child_measures_no_run_of_its_parent(tracing):
    """A run is measured once, by the process that it began in."""
    reader = InMemoryMetricReader()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, meter_provider=MeterProvider([reader], shutdown_on_exit=False)
    )
    reading, writing = os.pipe()

    def measured():
        data = reader.get_metrics_data()
        return [] if data is None else [each.name for each in data.resource_metrics[0].scope_metrics[0].metrics]

    @tool
    def forks(x: int) -> int:
        """Fork, and go on in both."""
        return fork()

    pid = forks.invoke({"x": 1}, {"callbacks": [handler]})
    if pid == 0:
        finish(writing, lambda: [handler.shutdown(), measured()])
    assert result_of(pid, reading, writing) == [True, []]
    assert measured() == ["gen_ai.execute_tool.duration"]


def test_a_child_prints_its_own_traces(tracing, capfd):
    """In the terminal each span comes once: in the child its own, when the first one there has ended."""
    tracing.provider.add_span_processor(SimpleSpanProcessor(TreeSpanExporter()))

    def work():
        capfd.readouterr()
        with tracing.span("first in the child"):
            tracing.mark("second in the child")
        return capfd.readouterr().out.splitlines()

    @tool
    def forks(x: int) -> list:
        """Fork."""
        tracing.mark("before")
        return in_child(work)

    in_the_child = forks.invoke({"x": 1}, tracing.config)
    assert [line.split("  ")[0] for line in in_the_child[1:]] == ["first in the child", "└─ second in the child"]
    printed = capfd.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in printed[1:]] == ["execute_tool forks", "└─ before"]


def test_no_lock_of_another_thread_is_held_in_a_child():
    """A fork waits for who holds such a lock, so the child can take it."""
    lock = fork_safe_lock()
    is_held, may_go_on = threading.Event(), threading.Event()

    def hold():
        with lock:
            is_held.set()
            may_go_on.wait(10)

    def can_be_taken():
        taken = []
        thread = threading.Thread(target=lambda: taken.append(lock.acquire(timeout=5)))
        thread.start()
        thread.join()
        return taken

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait(10)
    threading.Timer(0.1, may_go_on.set).start()
    assert in_child(can_be_taken) == [True]
    holder.join()


PROGRAM = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor

from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace

import runspan

def child(number):
    RunnableLambda(lambda x: x, name=f"child {number}").invoke(1, {"callbacks": [handler]})
    return os.getpid()

@tool
def forks(x: int) -> str:
    "Works in processes of its own."
    if way == "os":
        if not (pid := os.fork()):
            child(0)
            sys.exit()
        os.waitpid(pid, 0)
        return "done"
    context = multiprocessing.get_context(method)
    if way == "pool":
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            list(pool.map(child, range(2)))
        return "done"
    processes = [context.Process(target=child, args=(number,)) for number in range(2)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    return "done"

method, way, endpoint = sys.argv[1:]
handler = runspan.OpenTelemetryCallbackHandler()
runspan.configure(endpoint=endpoint)
if __name__ == "__main__":
    RunnableLambda(lambda x: forks.invoke({"x": x}), name="agent").invoke(1, {"callbacks": [handler]})
"""


@pytest.mark.parametrize(
    ("method", "way"),
    [
        ("fork", "os"),
        *[(method, way) for method in ("fork", "forkserver", "spawn") for way in ("process", "pool")],
    ],
)
def test_every_span_of_parent_and_children_is_sent_once(method, way, tmp_path):
    """However a tool starts processes, each span arrives once, none is abandoned; those of forks are below the tool."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with HttpReceiver() as receiver:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", program, method, way, receiver.endpoint]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110)
        spans = receiver.received()
    assert done.stderr == ""
    children = ["child 0"] if way == "os" else ["child 0", "child 1"]
    assert sorted(span["name"] for span in spans) == ["agent", *children, "execute_tool forks"]
    assert not any("langchain.run.outcome" in span["attributes"] for span in spans)
    (tool_id,) = [span["span_id"] for span in spans if span["name"].startswith("execute_tool")]
    parents = {span["parent_span_id"] for span in spans if span["name"].startswith("child")}
    assert parents == ({tool_id} if method == "fork" else {""})
