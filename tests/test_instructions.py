"""What a run costs, counted in bytecodes and bytes: the same count on any machine, however loaded."""

import asyncio
import gc
import tracemalloc
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace

from benchmarks.instructions import excesses, executed_when_warm
from benchmarks.workloads import Model, workloads
from runspan import OpenTelemetryCallbackHandler, Settings, semconv
from tests.fakes import Model as FakeModel

MARGIN = 1.05


def cost_of_history(tracing, messages, text):
    """Return what a call of a model with so many messages executes."""
    history = [HumanMessage(text) for _ in range(messages)]
    return executed_when_warm(lambda: Model().invoke(history, tracing.config))


@pytest.mark.parametrize("text", ["a short question", "é" * 40])
def test_cost_grows_linearly_with_history(tracing, text):
    """Of 1,000 messages each executes as much as each of 100."""
    few, some, many = (cost_of_history(tracing, count, text) for count in (10, 100, 1000))
    assert (many - some) / 900 <= (some - few) / 90 * MARGIN


def test_history_without_room_costs_nothing_more(tracing):
    """Messages for which there is no room are not looked at."""
    text = "words of a long message " * 25
    assert cost_of_history(tracing, 10_000, text) <= cost_of_history(tracing, 1000, text) * MARGIN


def test_cost_stays_as_runs_come(tracing):
    """An invocation executes the same after thousands of runs as after a few, with more than are remembered."""
    invoke = workloads()["prompt | model"].invoke
    first = executed_when_warm(lambda: invoke(tracing.config))
    for _ in range(2000):
        invoke(tracing.config)
    assert executed_when_warm(lambda: invoke(tracing.config)) <= first * MARGIN


def test_chunks_cost_little_beside_a_handler_that_does_not_want_them(tracing):
    """Of 200 chunks no event is made where the callback handlers do nothing at one."""
    stream = workloads()["stream of 200 chunks"].invoke
    costs = [
        executed_when_warm(lambda handler=handler: stream({"callbacks": [handler]}))
        for handler in (
            tracing.handler,
            OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, callbacks=[BaseCallbackHandler()]),
        )
    ]
    assert (costs[1] - costs[0]) / 200 < 80  # Python 3.14 inlines ``any()``


def cost_of_current_span(depth):
    """Return what it executes to ask for the current span, below so many frames of the user's."""
    if depth:
        return cost_of_current_span(depth - 1)
    return executed_when_warm(lambda: trace.get_current_span().get_span_context())


def invoke(runnable, given, config):
    """Call it."""
    runnable.invoke(given, config)


def stream(runnable, given, config):
    """Stream it."""
    list(runnable.stream(given, config))


def ainvoke(runnable, given, config):
    """Call it asynchronously."""
    asyncio.run(runnable.ainvoke(given, config))


@pytest.mark.parametrize("call", [invoke, stream, ainvoke])
def test_current_span_costs_the_same_at_any_depth(tracing, call):
    """In chains, tools and models the current span is found without a walk, once one was made there."""
    costs = []

    @tool
    def ask(depth: int) -> int:
        """Ask for the current span."""
        costs.append(cost_of_current_span(depth))
        return depth

    for depth in (4, 400):
        call(RunnableLambda(lambda depth: costs.append(cost_of_current_span(depth))), depth, tracing.config)
        call(ask, {"depth": depth}, tracing.config)
        call(FakeModel(before=lambda depth=depth: costs.append(cost_of_current_span(depth))), "x", tracing.config)
    flat, deep = costs[:3], costs[3:]
    assert [more - less < 20 for more, less in zip(deep, flat, strict=True)] == [
        True
    ] * 3  # a marked frame is seen later


def bytes_of_each(start):
    """Return what each of 1,000 takes that are started and kept."""
    kept = [start() for _ in range(100)]
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    kept += [start() for _ in range(1000)]
    gc.collect()
    return (tracemalloc.get_traced_memory()[0] - before) / 1000


def test_an_open_run_takes_less_than_half_of_its_span(tracing):
    """What an open run without content takes beside its span of the SDK is less than half of what that takes."""
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, settings=Settings(capture_content="none"))
    tracer = tracing.provider.get_tracer("tests")

    def start_run():
        run_id = uuid4()
        handler.on_chain_start({}, {}, run_id=run_id, name="open")
        return run_id

    def start_span():
        run_id = uuid4()
        attributes = {semconv.RUN_TYPE: "chain", semconv.SPAN_KIND: "CHAIN", semconv.RUN_ID: str(run_id)}
        return run_id, tracer.start_span("open", attributes=attributes)

    tracemalloc.start()
    try:
        assert bytes_of_each(start_run) < 1.5 * bytes_of_each(start_span)
    finally:
        tracemalloc.stop()
        handler.shutdown()


def test_excess_is_named():
    """What executes more than is kept, and more than the margin, is named with both counts."""
    assert excesses({"a": 103, "b": 104}, {"a": 100, "b": 100}) == ["b: 104 bytecodes, +4.0% of the 100 that are kept"]
