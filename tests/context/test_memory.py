"""Nothing of the user's is kept alive by what is over."""

import asyncio
import logging
import os
import sys
import threading
import warnings
import weakref
from uuid import uuid4

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

from runspan import OpenTelemetryCallbackHandler
from tests.fakes import Model, body, straight_graph
from tests.objects import fill_the_memory_of_runs, growth, live_objects
from tests.waiting import collect_until, hang, timed_out

pytestmark = pytest.mark.usefixtures("quiet")


class Payload(str):
    """A text that can be watched."""

    __slots__ = ("__weakref__",)


def test_payloads_and_frames_are_let_go(tracing):
    """After a call, in the context it was made in, neither its input nor its locals are kept."""
    watched = []

    def keep(x):
        local = Payload("local")
        watched.append(weakref.ref(local))
        return str(x)

    given = Payload("given")
    watched.append(weakref.ref(given))
    (RunnableLambda(keep) | Model(tracing=tracing)).invoke(given, tracing.config)
    for _ in Model(tracing=tracing).stream(given, tracing.config):
        break
    del given
    tracing.exporter.clear()
    collect_until(lambda: not any(reference() for reference in watched))


async def test_payloads_of_a_cancelled_call_are_let_go(tracing):
    """The same after a call that was cancelled in this very task."""
    watched = []

    async def hold(x):
        local = Payload("local")
        watched.append(weakref.ref(local))
        await hang()

    await timed_out(RunnableLambda(lambda x: x, afunc=hold).ainvoke("x", tracing.config))
    await asyncio.sleep(0)
    assert tracing.handler.open_runs == 0
    collect_until(lambda: not any(reference() for reference in watched))


def test_a_run_whose_thread_died_is_ended(tracing):
    """A stream that a dead thread left behind is ended when it is collected."""

    def work():
        next(Model(tracing=tracing).stream("x", tracing.config))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    tracing.settle()
    assert tracing.one("chat").attributes["langchain.run.outcome"] == "abandoned"


def test_a_run_that_several_threads_end_at_once_ends_once(tracing):
    """Of several threads that report the end of a run at once one ends its span, and no report is kept."""
    runs = [uuid4() for _ in range(300)]
    for run_id in runs:
        tracing.handler.on_chain_start({}, {}, run_id=run_id)
    watched, together = [], threading.Barrier(4)

    def end_all():
        for run_id in runs:
            result = Payload("result")
            watched.append(weakref.ref(result))
            together.wait()
            tracing.handler.on_chain_end(result, run_id=run_id)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=end_all) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(tracing.spans) == len(runs)
    collect_until(lambda: not any(reference() for reference in watched))


async def test_thousands_of_mixed_runs_leave_nothing(tracing):
    """Runs that end, fail, are cancelled or left early leave no object of any type, classes included."""

    def fail(x):
        raise ValueError("no")

    chain = body(tracing, "a") | Model(tracing=tracing)
    failing = body(tracing, "a") | body(tracing, "b", fail)
    graph = straight_graph(one=body(tracing, "do one", lambda state: {"values": [1]}))

    async def left_early():
        async for _ in chain.astream("x", tracing.config):
            break

    async def one_of_each():
        await chain.ainvoke("x", tracing.config)
        await asyncio.gather(failing.ainvoke("x", tracing.config), return_exceptions=True)
        await left_early()
        await graph.ainvoke({"values": []}, tracing.config)
        task = asyncio.create_task(chain.ainvoke("x", tracing.config))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    async def measured(times):
        for _ in range(times):
            await asyncio.gather(*(one_of_each() for _ in range(10)))
            tracing.exporter.clear()
        for _ in range(10):
            await asyncio.sleep(0.001)
        return live_objects()

    fill_the_memory_of_runs(tracing.handler)
    tracing.exporter.clear()
    before = await measured(2)
    after = await measured(30)  # 300 of each: some 5,000 runs
    assert tracing.handler.open_runs == 0
    assert growth(before, after, slack=30) == {}


def run_sync(tracing, handler):
    (body(tracing, "a") | Model(tracing=tracing)).invoke("x", {"callbacks": [handler]})


GRAPH = straight_graph(one=lambda state: {"values": [1]})


def run_graph(tracing, handler):
    GRAPH.invoke({"values": []}, {"callbacks": [handler]})


def run_async(tracing, handler):
    asyncio.run((body(tracing, "a") | Model(tracing=tracing)).ainvoke("x", {"callbacks": [handler]}))


def run_on_a_loop_that_is_closed(tracing, handler):
    """Close the loop before its tasks are done."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(Model(tracing=tracing).ainvoke("x", {"callbacks": [handler]}))
    loop.close()


def abandon(tracing, handler):
    async def work():
        task = asyncio.create_task(Model(hangs_after=0).ainvoke("x", {"callbacks": [handler]}))
        while not handler.open_runs:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        handler.force_flush()

    asyncio.run(work())


class ProviderOfOthers(trace.TracerProvider):
    """A provider that keeps nothing; the SDK keeps a function for each of its own, to be called after a fork."""

    def get_tracer(self, *args, **kwargs):
        return trace.NoOpTracer()

    def add_span_processor(self, span_processor):
        self.router = span_processor


@pytest.mark.parametrize("has_own_provider", [False, True])
@pytest.mark.parametrize("run", [run_sync, run_graph, run_async, run_on_a_loop_that_is_closed, abandon])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_tenants_that_come_and_go_leave_nothing(tracing, caplog, run, has_own_provider):
    """A handler with listeners, all of classes of its own, leaves no object of any type, however its runs end."""
    caplog.set_level(logging.CRITICAL)  # what is pending when its loop is closed is told by asyncio

    def come_and_go():
        class Handler(OpenTelemetryCallbackHandler):
            pass

        class Listener(AsyncCallbackHandler):
            async def on_chain_start(self, *args, **kwargs):
                await asyncio.sleep(0)

        class Processor(SpanProcessor):
            pass

        provider = ProviderOfOthers() if has_own_provider else tracing.provider
        run(tracing, Handler(callbacks=[Listener()], span_processors=[Processor()], tracer_provider=provider))

    def measured(times):
        for _ in range(times):
            come_and_go()
        tracing.exporter.clear()
        caplog.clear()
        return live_objects()

    if not has_own_provider:
        fill_the_memory_of_runs(tracing.handler)
    before = measured(3)
    assert growth(before, measured(30), slack=15) == {}


def test_lost_runs_end_in_a_forked_child_too(tracing):
    """A forked worker ends the runs that it loses; the thread that did so in its parent is not there."""

    async def lose():
        task = asyncio.create_task(Model(hangs_after=0).ainvoke("x", tracing.config))
        await asyncio.sleep(0.01)
        assert tracing.handler.open_runs == 1
        task.cancel()  # LangChain reports no end of it
        await asyncio.wait([task])

    asyncio.run(lose())
    tracing.settle()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, from Python 3.12 on
        child = os.fork()
    if child == 0:
        try:
            asyncio.run(lose())
            tracing.settle()
        finally:
            os._exit(tracing.handler.open_runs)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
