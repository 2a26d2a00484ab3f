"""Cancelled and timed out calls: LangChain may say nothing of their end, and their workers may live on."""

import asyncio
import random
import threading

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool as make_tool
from opentelemetry import trace

from runspan.runs import reaper
from runspan.runs.run import RunState
from tests.fakes import Model, Retriever, SyncModel, body, tool
from tests.tracing import current_name
from tests.waiting import at_hang, hang, hang_begins, timed_out, until_it_hangs

pytestmark = pytest.mark.usefixtures("quiet")


@make_tool
async def slow_tool(x: str) -> str:
    """Wait for ever."""
    await hang()
    return x


RUNNABLES = {
    "model": (lambda t: Model(tracing=t, hangs_after=0), "chat [cancelled]\n  http"),
    "tool": (lambda t: slow_tool, "execute_tool slow_tool [cancelled]"),
    "retriever": (lambda t: Retriever(tracing=t, hangs=True), "retrieval [cancelled]\n  query"),
}


@pytest.mark.parametrize("name", RUNNABLES)
async def test_after_a_timeout_in_this_task_the_callers_span_is_current(tracing, name):
    """Whatever the task goes on with after a timeout is not under what timed out, and that is ended."""
    make, expected = RUNNABLES[name]

    async def other():
        await asyncio.sleep(0)
        tracing.mark("other")

    await timed_out(make(tracing).ainvoke("x", tracing.config))
    await asyncio.gather(other(), other())
    await asyncio.to_thread(tracing.mark, "threaded")
    await Model(tracing=tracing).ainvoke("y", tracing.config)
    tracing.mark("caller")

    assert tracing.text() == f"{expected}\nother\nother\nthreaded\nchat\n  http\ncaller"


@pytest.mark.parametrize("name", RUNNABLES)
async def test_a_cancelled_task_leaves_an_ended_run(tracing, name):
    """A run whose task is cancelled is ended as cancelled, though LangChain does not report its end."""
    make, expected = RUNNABLES[name]
    hangs = asyncio.Event()
    with at_hang(hangs.set):
        task = asyncio.create_task(make(tracing).ainvoke("x", tracing.config))
    await hangs.wait()
    task.cancel()
    await asyncio.wait([task])
    assert tracing.handler.force_flush(1) is True
    assert tracing.text() == expected


@pytest.mark.parametrize("name", RUNNABLES)
async def test_a_cancelled_chain_ends_the_runs_in_it(tracing, name):
    """A chain that is cancelled ends as cancelled, and what it was waiting for with it."""
    make, expected = RUNNABLES[name]
    chain = body(tracing, "first") | make(tracing)
    await timed_out(chain.ainvoke("x", tracing.config))
    inner = "\n".join(f"  {line}" for line in expected.splitlines())
    assert tracing.text() == f"RunnableSequence [cancelled]\n  first\n    first work\n{inner}"
    assert tracing.handler.open_runs == 0


async def test_a_stream_timed_out_is_cancelled(tracing):
    """A model that is cancelled before its first chunk ends as cancelled."""
    await timed_out(anext(Model(tracing=tracing, hangs_after=0).astream("x", tracing.config)))
    assert tracing.text() == "chat [cancelled]\n  http"


async def test_a_worker_that_lives_on_after_a_timeout_leaves_the_run(tracing):
    """The thread of a timed out tool that works on is still under the tool; its other workers are not."""
    go_on, done = threading.Event(), threading.Event()

    @make_tool
    async def hands_off(x: str) -> str:
        """Wait for a thread."""

        def work():
            hang_begins()
            go_on.wait(60)
            tracing.mark("late")
            done.set()

        await asyncio.to_thread(work)
        return x

    with tracing.span("request"):
        await timed_out(hands_off.ainvoke("x", tracing.config))
        tracing.mark("caller")
        go_on.set()
        await asyncio.to_thread(done.wait, 60)
    assert tracing.text() == "request\n  execute_tool hands_off [cancelled]\n  caller\n  late"


async def test_who_asks_for_the_current_span_changes_nothing(tracing, monkeypatch):
    """What timed out in this task is found and reported by who asks for the current span; the next start ends it."""
    reported = []
    monkeypatch.setattr(reaper, "report", lambda run, **_: reported.append(run))
    with pytest.raises(TimeoutError) as kept_alive:
        await until_it_hangs(Retriever(tracing=tracing, hangs=True).ainvoke("x", tracing.config))
    table = tracing.handler._bridge.table
    with tracing.span("request"):
        (run,) = table.open_runs()
        assert run.state() is RunState.FINISHED
        assert current_name() == "request"
    assert not trace.get_current_span().get_span_context().is_valid
    assert (set(reported), list(table.open_runs()), tracing.named("retrieval")) == ({run}, [run], [])
    await body(tracing, "next").ainvoke("x", tracing.config)
    assert run.state() is RunState.OVER
    assert tracing.one("retrieval").attributes["langchain.run.outcome"] == "cancelled"
    assert tracing.one("next").parent is None
    del kept_alive


async def test_a_task_that_lives_on_after_a_timeout_leaves_the_run(tracing):
    """The task of a timed out tool that works on is under the caller's span, once the tool is over."""
    go_on = asyncio.Event()
    workers = []

    async def work():
        tracing.mark("early")
        hang_begins()
        await go_on.wait()
        tracing.mark("late")
        await body(tracing, "aside").ainvoke("x")

    @make_tool
    async def shielding(x: str) -> str:
        """Wait for a task that no cancellation reaches."""
        workers.append(asyncio.create_task(work()))
        await asyncio.shield(workers[0])
        return x

    with tracing.span("request"):
        await timed_out(shielding.ainvoke("x", tracing.config))
        tracing.mark("caller")
        go_on.set()
        await workers[0]
    assert tracing.text() == (
        "request\n  execute_tool shielding [cancelled]\n    early\n  caller\n  late\n  aside\n    aside work"
    )


async def test_a_sync_tool_that_works_on_after_a_timeout_ends_by_itself(tracing):
    """A sync tool that nobody waits for any more is still executing: it keeps its spans and its own true end."""
    go_on = threading.Event()

    @make_tool
    def works_on(x: str) -> str:
        """Work on."""
        hang_begins()
        go_on.wait(60)
        tracing.mark("late")
        return "seen"

    async def call(_):
        await works_on.ainvoke("x")

    await timed_out(RunnableLambda(call).ainvoke("x", tracing.config))
    assert tracing.handler.open_runs == 1
    tracing.mark("caller")
    go_on.set()
    async with asyncio.timeout(60):
        while tracing.handler.open_runs:
            await asyncio.sleep(0.001)
    assert tracing.one("execute_tool works_on").attributes["gen_ai.tool.call.result"] == "seen"
    assert tracing.one("execute_tool works_on").context == tracing.one("late").parent
    assert tracing.one("execute_tool works_on").parent == tracing.one("call").context
    assert tracing.one("call").attributes["langchain.run.outcome"] == "cancelled"


async def test_a_thousand_concurrent_calls_two_hundred_of_them_cancelled(tracing):
    """Cancelled at random moments or not, each call is one trace and every span ends once."""
    chance = random.Random(7)

    class Napping(Model):
        async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
            await asyncio.sleep(chance.random() / 20)
            return await super()._agenerate(messages, stop, run_manager, **kwargs)

    model = Napping(tracing=tracing)
    chain = body(tracing, "first") | model | body(tracing, "last")

    async def call(number):
        with tracing.span(f"call {number}"):
            await chain.ainvoke("x", tracing.config)

    tasks = [asyncio.create_task(call(number)) for number in range(1000)]
    for task in chance.sample(tasks, 200):
        asyncio.get_running_loop().call_later(chance.random() / 10, task.cancel)
    await asyncio.wait(tasks)
    cancelled = sum(task.cancelled() for task in tasks)
    assert 0 < cancelled <= 200

    assert tracing.handler.open_runs == 0
    tracing.text()
    roots = [span for span in tracing.spans if span.parent is None]
    assert (
        len(roots)
        == len({span.context.trace_id for span in tracing.spans})
        == len({span.name for span in roots if span.name.startswith("call ")})
    )
    outcomes = [span for span in tracing.named("RunnableSequence") if span.attributes.get("langchain.run.outcome")]
    assert {span.attributes["langchain.run.outcome"] for span in outcomes} == {"cancelled"}
    assert all(span.status.is_ok for span in tracing.spans if not span.name.startswith("call "))


async def test_cancelled_at_every_step(tracing):
    """A call that is cancelled at its first, second, ... step of the loop always leaves a sound trace."""
    chain = body(tracing, "first") | Model(tracing=tracing) | tool(tracing)
    steps = 0
    while True:
        task = asyncio.create_task(chain.ainvoke("x", tracing.config))
        for _ in range(steps):
            await asyncio.sleep(0)
        if not task.cancel():
            break
        await asyncio.wait([task])
        steps += 1
        for _ in range(20):
            await asyncio.sleep(0)
        assert tracing.handler.open_runs == 0, f"open after a cancel at step {steps}"
        assert current_name() is None
    await task if not task.done() else None
    tracing.text()
    assert steps > 10


async def test_a_sync_model_that_works_on_after_its_caller_left(tracing):
    """A sync model in a thread keeps its span for what it does after a timeout, as long as it is awaited."""
    started, go_on = threading.Event(), threading.Event()

    def work():
        started.set()
        go_on.wait(60)

    task = asyncio.create_task(SyncModel(tracing=tracing, before=work).ainvoke("x", tracing.config))
    await asyncio.to_thread(started.wait, 60)
    go_on.set()
    await task
    assert tracing.text() == "chat\n  http"
