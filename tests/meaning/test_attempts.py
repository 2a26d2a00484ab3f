"""Attempts: retries and fallbacks are numbered, and each is linked to the one that failed before it."""

import asyncio

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy

from tests.fakes import State, body
from tests.meaning.failing import NONE, THREE, THREE_FROM_TWO, WAYS, Failures, attempts, call, numbered, shaky

POLICY = RetryPolicy(max_attempts=3, initial_interval=0.001, jitter=False, retry_on=ValueError)


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
    assert [list(numbered(spans)) for spans in by_parent.values()] == [THREE_FROM_TWO] * 3


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
        assert list(numbered(spans)) == [NONE, (None, 1, [0]), (None, 2, [1])]
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
