"""Nothing of the user's is kept alive by what is over."""

import asyncio
import gc
import os
import threading
import warnings
import weakref

import pytest
from langchain_core.runnables import RunnableLambda

from tests.context.shapes import Model, body, straight_graph
from tests.waiting import collect_until

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

    async def hang(x):
        local = Payload("local")
        watched.append(weakref.ref(local))
        await asyncio.Event().wait()

    try:
        async with asyncio.timeout(0.01):
            await RunnableLambda(lambda x: x, afunc=hang).ainvoke("x", tracing.config)
    except TimeoutError:
        pass
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


async def test_thousands_of_mixed_runs_leave_nothing(tracing):
    """Runs that end, fail, are cancelled or left early leave the handler and its tables as they were."""

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
        gc.collect()
        return sum(str(type(each).__module__).startswith("runspan") for each in gc.get_objects())

    before = await measured(2)
    after = await measured(30)  # 300 of each: some 5,000 runs
    assert tracing.handler.open_runs == 0
    assert after <= before + 5


def test_lost_runs_end_in_a_forked_child_too(tracing):
    """A forked worker ends the runs that it loses; the thread that did so in its parent is not there."""

    class Hanging(Model):
        async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
            await asyncio.Event().wait()

    async def lose():
        task = asyncio.create_task(Hanging(tracing=tracing).ainvoke("x", tracing.config))
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
