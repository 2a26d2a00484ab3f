"""Attempts: retries and fallbacks are numbered, and each is linked to the one that failed before it."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy

from tests.context.shapes import AgentModel, Model, State, body
from tests.tracing import Tracing

QUICK = {"initial_delay": 0.001, "jitter": False}
POLICY = RetryPolicy(max_attempts=3, initial_interval=0.001, jitter=False, retry_on=(ValueError, TimeoutError))
ASKED = {"messages": [("user", "look")]}
WAYS = pytest.mark.parametrize("way", ["sync", "async"])


class Failures:
    """Fails a number of times for each of what it is given, then no more."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.left: dict[Any, int] = {}

    def __call__(self, given: Any = None) -> Any:
        left = self.left.setdefault(given, self.times)
        self.left[given] = left - 1
        if left > 0:
            raise ValueError("no")
        return given

    async def later(self, given: Any = None) -> Any:
        await asyncio.sleep(0)
        return self(given)

    def runnable(self, name: str) -> RunnableLambda:
        return RunnableLambda(self, self.later, name=name)


class Shaky(Model):
    """A model that fails a number of times."""

    fail: Failures

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.fail()
        return super()._generate(messages)

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        self.fail()
        return await super()._agenerate(messages)

    def bind_tools(self, tools, **kwargs):
        return self


class Spare(Shaky):
    """Another model."""


def shaky(tracing, times, kind=Shaky):
    return kind(tracing=tracing, fail=Failures(times))


async def call(way, runnable, given, config):
    return runnable.invoke(given, config) if way == "sync" else await runnable.ainvoke(given, config)


def attempts(tracing: Tracing, name: str) -> list[tuple[int | None, int | None, list[int]]]:
    """Return of each span of a name its attempt, its fallback, and which of all spans so shown it links to."""
    return list(
        _attempts([span for span in sorted(tracing.spans, key=lambda each: each.start_time) if span.name == name])
    )


def _attempts(spans) -> Iterator[tuple[int | None, int | None, list[int]]]:
    ids = [span.context.span_id for span in spans]
    for span in spans:
        numbers = (span.attributes.get(f"langchain.run.{key}") for key in ("attempt", "fallback"))
        yield (*numbers, [ids.index(link.context.span_id) for link in span.links if link.context.span_id in ids])


THREE = [(1, None, []), (2, None, [0]), (3, None, [1])]
THREE_FROM_TWO = [(None, None, []), *THREE[1:]]
NONE = (None, None, [])


@WAYS
async def test_retries(tracing, way):
    """Two failures and a success are three attempts, each linked to the one before."""
    chain = body(tracing, "first") | shaky(tracing, 2).with_retry(wait_exponential_jitter=False)
    await call(way, chain, "x", tracing.config)
    assert attempts(tracing, "chat") == THREE
    assert [span.status.is_ok for span in tracing.named("chat")] == [False, False, True]
    assert tracing.one("RunnableSequence").status.is_ok
    assert attempts(tracing, "first") == [NONE]


@WAYS
async def test_retries_of_batches(tracing, way):
    """Each input of a batch is tried again for itself; equal ones are told apart by their runs."""
    step = Failures(2).runnable("step").with_retry(wait_exponential_jitter=False)
    given = ["a", "b", "c"]
    step.batch(given, tracing.config) if way == "sync" else await step.abatch(given, tracing.config)
    by_parent: dict[int, list] = {}
    for span in sorted(tracing.named("step"), key=lambda each: each.start_time):
        by_parent.setdefault(span.parent.span_id if span.parent else 0, []).append(span)
    by_parent.pop(0)
    assert [list(_attempts(spans)) for spans in by_parent.values()] == [THREE_FROM_TWO] * 3


FALLBACK_WAYS = {
    "invoke": lambda chain, config: asyncio.to_thread(chain.invoke, "x", config),
    "ainvoke": lambda chain, config: chain.ainvoke("x", config),
    "batch": lambda chain, config: asyncio.to_thread(chain.batch, ["x", "y"], config),
    "abatch": lambda chain, config: chain.abatch(["x", "y"], config),
    "stream": lambda chain, config: asyncio.to_thread(lambda: list(chain.stream("x", config))),
}


@pytest.mark.parametrize("way", FALLBACK_WAYS)
async def test_fallbacks(tracing, way):
    """What is tried after a failure is a fallback, numbered and linked to what failed, in every way to call."""
    steps = [Failures(times).runnable("step") for times in (1, 1, 0)]
    await FALLBACK_WAYS[way](steps[0].with_fallbacks(steps[1:]), tracing.config)
    parents = tracing.named("RunnableWithFallbacks")
    assert len(parents) == (2 if "batch" in way else 1)
    for parent in parents:
        spans = [span for span in tracing.named("step") if span.parent.span_id == parent.context.span_id]
        spans.sort(key=lambda each: each.start_time)
        assert list(_attempts(spans)) == [NONE, (None, 1, [0]), (None, 2, [1])]
        assert parent.status.is_ok


def test_what_is_not_tried(tracing):
    """A run within an attempt is none itself, nor one beside it."""
    inner = body(tracing, "inner")
    outer = RunnableLambda(inner.invoke, name="outer").with_retry()
    (outer | body(tracing, "after")).invoke("x", tracing.config)
    assert tracing.named("outer")[0].attributes["langchain.run.attempt"] == 1
    for name in ("inner", "after", "RunnableSequence"):
        assert "langchain.run.attempt" not in tracing.one(name).attributes


@WAYS
async def test_a_node_with_a_retry_policy(tracing, way):
    """LangGraph's attempts at a node are numbered from the second on, those of each branch for themselves."""
    fail = Failures(2)

    def node(name):
        return RunnableLambda(lambda _: {"values": [fail(name)]}, name="body")

    graph = StateGraph(State)
    for name in ("left", "right"):
        graph.add_node(name, node(name), retry_policy=POLICY).add_edge(START, name)
    graph.add_node("steady", lambda _: {}).add_edge("left", "steady")
    await call(way, graph.compile(), {"values": []}, tracing.config)
    assert attempts(tracing, "left") == attempts(tracing, "right") == THREE_FROM_TWO
    assert attempts(tracing, "steady") == [NONE]
    assert attempts(tracing, "body") == [NONE] * 6


@pytest.mark.newest
async def test_a_node_that_timed_out(tracing):
    """A node that LangGraph cancels since it takes too long has failed an attempt."""
    waits = [asyncio.Event(), asyncio.Event()]
    waits[1].set()

    async def slow(_):
        await waits.pop(0).wait()
        return {}

    graph = StateGraph(State).add_edge(START, "slow")
    graph.add_node("slow", slow, timeout=0.05, retry_policy=RetryPolicy(initial_interval=0.001, retry_on=Exception))
    await graph.compile().ainvoke({"values": []}, tracing.config)
    assert attempts(tracing, "slow") == THREE_FROM_TWO[:2]
    assert tracing.named("slow")[0].attributes["langchain.run.outcome"] == "cancelled"


@WAYS
async def test_tasks_with_a_retry_policy(tracing, way):
    """So are those at a task of the functional API; a second call of the same task is another."""
    fail = Failures(2)

    if way == "sync":
        work = task(fail, name="work", retry_policy=POLICY)

        @entrypoint()
        def flow(given):
            return [work(each).result() for each in given]
    else:
        work = task(fail.later, name="work", retry_policy=POLICY)

        @entrypoint()
        async def flow(given):
            return [await work(each) for each in given]

    await call(way, flow, ["a", "b"], tracing.config)
    assert attempts(tracing, "work") == [*THREE_FROM_TWO, NONE, (2, None, [3]), (3, None, [4])]


@WAYS
async def test_model_retry_middleware(tracing, way):
    """The middleware's attempts are numbered from the first on; the next call of the model begins anew."""
    model = shaky(tracing, 2)
    agent = create_agent(model, middleware=[ModelRetryMiddleware(**QUICK)])
    await call(way, agent, ASKED, tracing.config)
    await call(way, agent, ASKED, tracing.config)
    assert attempts(tracing, "chat") == [*THREE, (1, None, [])]


@WAYS
async def test_model_fallback_middleware(tracing, way):
    """The middleware's other models are fallbacks, linked to the model that failed before."""
    models = [shaky(tracing, times) for times in (1, 1, 0)]
    agent = create_agent(models[0], middleware=[ModelFallbackMiddleware(*models[1:])])
    await call(way, agent, ASKED, tracing.config)
    assert attempts(tracing, "chat") == [NONE, (None, 1, [0]), (None, 2, [1])]


@WAYS
async def test_retries_of_each_fallback(tracing, way):
    """Around retries, a fallback is linked to the last attempt at the model before, and counts its own attempts."""
    retry = ModelRetryMiddleware(max_retries=1, on_failure="error", **QUICK)
    fallback = ModelFallbackMiddleware(shaky(tracing, 1, Spare))
    agent = create_agent(shaky(tracing, 2), middleware=[fallback, retry])
    await call(way, agent, ASKED, tracing.config)
    assert attempts(tracing, "chat") == [(1, None, []), (2, None, [0]), (1, 1, [1]), (2, 1, [2])]


@WAYS
async def test_retries_of_all_fallbacks(tracing, way):
    """Within retries, the fallbacks are part of an attempt, and the next attempt begins with the first model."""
    retry = ModelRetryMiddleware(max_retries=1, **QUICK)
    fallback = ModelFallbackMiddleware(shaky(tracing, 1, Spare))
    agent = create_agent(shaky(tracing, 2), middleware=[retry, fallback])
    await call(way, agent, ASKED, tracing.config)
    first = 1 if way == "sync" else None
    assert attempts(tracing, "chat") == [(first, None, []), (first, 1, [0]), (2, None, [1]), (2, 1, [2])]


class Passing(AgentMiddleware):
    """Does nothing but stand between."""

    def wrap_model_call(self, request, handler):
        return handler(request)

    async def awrap_model_call(self, request, handler):
        return await handler(request)


class Insisting(Passing):
    """An application's own middleware that tries again."""

    async def awrap_model_call(self, request, handler):
        while True:
            with contextlib.suppress(ValueError):
                return await handler(request)


@pytest.mark.newest
@pytest.mark.parametrize(
    "retry", [ModelRetryMiddleware(**QUICK), Insisting()], ids=["LangChain's", "the application's"]
)
async def test_retries_around_another_middleware(tracing, retry):
    """Whoever tries an agent's model again with the same messages, by whatever way, is known by that."""
    await create_agent(shaky(tracing, 2), middleware=[retry, Passing()]).ainvoke(ASKED, tracing.config)
    assert attempts(tracing, "chat") == THREE_FROM_TWO


@pytest.mark.newest
async def test_other_questions_of_a_middleware_are_no_attempts(tracing):
    """A middleware that asks a model of its own something else, and fails, is not followed by an attempt."""
    judge = shaky(tracing, 1)

    class Judging(Passing):
        async def awrap_model_call(self, request, handler):
            with contextlib.suppress(ValueError):
                await judge.ainvoke("is it sound?")
            return await handler(request)

    await create_agent(shaky(tracing, 0), middleware=[Judging()]).ainvoke(ASKED, tracing.config)
    assert attempts(tracing, "chat") == [NONE] * 2


class Asking(AgentModel):
    """A model that calls the tool for two things at once, then once more, then answers."""

    def _answer(self, messages):
        seen = sum(isinstance(message, ToolMessage) for message in messages)
        asked = {0: [1, 2], 2: [1]}.get(seen, [])
        calls = [{"name": "look", "args": {"x": x}, "id": f"call_{seen}_{x}"} for x in asked]
        return AIMessage("" if calls else "three", tool_calls=calls)


@pytest.mark.parametrize("is_async_tool", [True, False])
@WAYS
async def test_tool_retry_middleware(tracing, way, is_async_tool):
    """A tool's attempts are told apart by its call: of calls at once, and of one with the same arguments later."""
    fail = Failures(1)

    def look(x: int) -> str:
        """Look."""
        return str(fail(x))

    async def alook(x: int) -> str:
        return str(await fail.later(x))

    tool = StructuredTool.from_function(look, coroutine=alook if is_async_tool else None)
    middleware = [ToolRetryMiddleware(**QUICK)]
    await call(way, create_agent(Asking(tracing=tracing), [tool], middleware=middleware), ASKED, tracing.config)
    by_call: dict[str, list] = {}
    for span in sorted(tracing.named("execute_tool look"), key=lambda each: each.start_time):
        by_call.setdefault(span.attributes["gen_ai.tool.call.id"], []).append(span)
    # A sync tool of an async agent runs in a thread, where nothing tells that it would be tried again.
    first = None if way == "async" and not is_async_tool else 1
    assert {key: list(_attempts(spans)) for key, spans in by_call.items()} == {
        "call_0_1": [(first, None, []), (2, None, [0])],
        "call_0_2": [(first, None, []), (2, None, [0])],
        "call_2_1": [(first, None, [])],
    }


def test_a_question_after_a_failure_is_no_attempt(tracing):
    """What an application asks after a failure, be it the same or something else, is not known to be an attempt."""
    model = shaky(tracing, 1)

    def ask(questions):
        for question in questions:
            try:
                model.invoke(question)
            except ValueError:
                continue

    RunnableLambda(ask).invoke(["a", "a", "b"], tracing.config)
    assert attempts(tracing, "chat") == [NONE] * 3


@WAYS
async def test_equal_questions_at_once_are_no_attempts(tracing, way):
    """Of a batch of equal questions some may fail: the others are not tried again."""
    model = shaky(tracing, 2)
    given = ["a"] * 4
    if way == "sync":
        model.batch(given, {**tracing.config, "max_concurrency": 1}, return_exceptions=True)
    else:
        await model.abatch(given, tracing.config, return_exceptions=True)
    assert attempts(tracing, "chat") == [NONE] * 4


def test_branches_are_no_attempts(tracing):
    """A branch that fails beside another that does the same is no attempt at it."""
    fail = Failures(1)
    step = RunnableLambda(lambda _: fail(), name="step")

    def caught(given):
        return [step.with_config(run_name="step").batch([given, given], return_exceptions=True)]

    RunnableLambda(caught).invoke("x", tracing.config)
    assert attempts(tracing, "step") == [NONE] * 2


def test_a_later_call_of_a_tool_that_failed_is_no_attempt(tracing):
    """A model that calls a tool again, with the same arguments, asks anew."""
    fail = Failures(1)

    def look(x: int) -> str:
        """Look."""
        return str(fail(x))

    tool = StructuredTool.from_function(look)

    def use(_):
        for number in range(2):
            try:
                tool.invoke({"name": "look", "args": {"x": 1}, "id": f"call_{number}", "type": "tool_call"})
            except ValueError:
                continue

    RunnableLambda(use).invoke("x", tracing.config)
    assert attempts(tracing, "execute_tool look") == [NONE] * 2
