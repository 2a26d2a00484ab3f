"""Random compositions against LangChain's own tracer: the same runs, parents and ends, and the run whose code it is."""

import asyncio
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import (
    Runnable,
    RunnableBranch,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
)
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import StructuredTool
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run
from opentelemetry import trace

from runspan import Settings
from tests.fakes import Model, Retriever, straight_graph
from tests.tracing import Tracing


class Oracle(BaseTracer):
    """Keeps the runs that LangChain's own tracer makes of its events."""

    run_inline = True

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, Run] = {}

    def _persist_run(self, run: Run) -> None:
        """Keep nothing more: runs are kept when they begin."""

    def _on_run_create(self, run: Run) -> None:
        self.runs[str(run.id)] = run


class Program:
    """Runnables from text to text, whose code notes which run LangChain says it is, and which span is current."""

    def __init__(self) -> None:
        self.tracing, self.oracle = Tracing(Settings(detail="all")), Oracle()
        self.config: RunnableConfig = {"callbacks": [self.oracle, self.tracing.handler]}
        self.noted: list[tuple[object, int]] = []

    def note(self) -> None:
        callbacks: Any = (var_child_runnable_config.get() or {})["callbacks"]
        self.noted.append((callbacks.parent_run_id, trace.get_current_span().get_span_context().span_id))

    def body(self, then: Callable[[str], str] = lambda text: text) -> tuple[Any, Any]:
        def run(text: str) -> str:
            self.note()
            return then(text)

        async def arun(text: str) -> str:
            await asyncio.sleep(0)
            self.note()
            return then(text)

        return run, arun

    def build(self, plan: Any) -> Runnable:
        name, *parts = plan
        return getattr(self, name)(*map(self.build, parts))

    def function(self) -> Runnable:
        return RunnableLambda(*self.body())

    def failing(self) -> Runnable:
        def fail(text: str) -> str:
            raise ValueError("no")

        return RunnableLambda(*self.body(fail))

    def letters(self) -> Runnable:
        def each(chunks):
            for chunk in chunks:
                self.note()
                yield from chunk

        async def aeach(chunks):
            async for chunk in chunks:
                for letter in each([chunk]):
                    yield letter

        return RunnableGenerator(each, aeach)

    def model(self) -> Runnable:
        return Model() | StrOutputParser()

    def tool(self) -> Runnable:
        run, arun = self.body()
        named = StructuredTool.from_function(run, coroutine=arun, name="look", description="Looks.")
        return RunnableLambda(lambda text: {"text": text}) | named

    def retriever(self) -> Runnable:
        return Retriever() | RunnableLambda(lambda documents: documents[0].page_content)

    def sequence(self, first: Runnable, last: Runnable) -> Runnable:
        return first | last

    def parallel(self, left: Runnable, right: Runnable) -> Runnable:
        return RunnableParallel(a=left, b=right) | RunnableLambda(
            lambda texts: f"{texts.get('a')}{texts.get('b')}"[-9:]
        )

    def branch(self, chosen: Runnable, other: Runnable) -> Runnable:
        return RunnableBranch((RunnableLambda(*self.body(bool)), chosen), other)

    def fallbacks(self, first: Runnable, second: Runnable) -> Runnable:
        return first.with_fallbacks([second])

    def retried(self, inner: Runnable) -> Runnable:
        return inner.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)

    def each(self, inner: Runnable) -> Runnable:
        return (
            RunnableLambda(lambda text: [text, text]) | inner.map() | RunnableLambda(lambda texts: "".join(texts)[-9:])
        )

    def named(self, inner: Runnable) -> Runnable:
        return inner.with_config(run_name="named", tags=["tagged"])

    def calling(self, inner: Runnable) -> Runnable:
        def call(text: str) -> str:
            return inner.invoke(text)

        async def acall(text: str) -> str:
            self.note()
            answer = await inner.ainvoke(text)
            self.note()
            return answer

        return RunnableLambda(self.body(call)[0], acall)

    def graph(self, inner: Runnable) -> Runnable:
        node = (
            RunnableLambda(lambda state: state["values"][-1]) | inner | RunnableLambda(lambda text: {"values": [text]})
        )
        graph = straight_graph(one=node, two=node)
        return RunnableLambda(lambda text: {"values": [text]}) | graph | RunnableLambda(lambda state: str(state)[-9:])


LEAVES = st.sampled_from(["function", "failing", "letters", "model", "tool", "retriever"]).map(lambda name: (name,))
PLANS = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(st.sampled_from(["sequence", "parallel", "branch", "fallbacks"]), inner, inner)
        | st.tuples(st.sampled_from(["retried", "each", "named", "calling", "graph"]), inner)
    ),
    max_leaves=6,
)


def invoke(runnable, config, chunks):
    runnable.invoke("abc", config)


async def ainvoke(runnable, config, chunks):
    await runnable.ainvoke("abc", config)


def batch(runnable, config, chunks):
    runnable.batch(["abc", "abd"], config)


async def abatch(runnable, config, chunks):
    await runnable.abatch(["abc", "abd"], config)


def stream(runnable, config, chunks):
    for number, _ in enumerate(runnable.stream("abc", config)):
        assert not trace.get_current_span().get_span_context().is_valid
        if number == chunks:
            break


async def astream(runnable, config, chunks):
    left = runnable.astream("abc", config)
    async for _ in left:
        assert not trace.get_current_span().get_span_context().is_valid
        if (chunks := chunks - 1) < 0:
            await left.aclose()
            break


WAYS = st.sampled_from([invoke, ainvoke, batch, abatch, stream, astream])


async def run_program(program, runnable, way, chunks):
    try:
        pending = way(runnable, program.config, chunks)
        if pending is not None:
            await pending
    except ValueError as error:
        assert str(error) == "no"  # noqa: PT017  most programs don't fail
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.newest  # LangSmith's oldest, which LangChain's tracer is made of, does not work with the oldest pydantic
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=PLANS, way=WAYS, chunks=st.integers(0, 4))
def test_spans_are_the_runs_that_langchains_own_tracer_sees(plan, way, chunks):
    """Each run has one span, below the run that LangChain names or one within it, and is current in its own code."""
    program = Program()
    asyncio.run(run_program(program, program.build(plan), way, chunks))
    program.tracing.settle()
    runs = program.oracle.runs
    spans = {span.attributes["langchain.run.id"]: span for span in program.tracing.spans}
    by_id = {span.context.span_id: span for span in spans.values()}
    assert len(program.tracing.spans) == len(spans)
    assert spans.keys() == runs.keys()
    for run_id, run in runs.items():
        span = spans[run_id]
        around = [span]
        while around[-1].parent is not None:
            around.append(by_id[around[-1].parent.span_id])
        # Fallbacks and bindings may name a run further out as the parent of what they call.
        if run.parent_run_id is not None:
            assert spans[str(run.parent_run_id)] in around[1:]
        assert (span.status.status_code is trace.StatusCode.ERROR) == (run.error or "").startswith("ValueError")
    for run_id, span_id in program.noted:
        assert by_id[span_id] is spans[str(run_id)]
