"""Handlers on two tracer providers in one invocation: each gets every run, and there is one current span."""

from typing import NamedTuple

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace

from runspan.testing import RecordedTrace
from tests.context.ways import WAYS, call
from tests.tracing import Tracing, sorted_text

TREE = "RunnableSequence\n  agent\n    execute_tool asks\n      chat\n  last"


def agent_of(*marking):
    """Make a chain whose tool calls a model; each of the given leaves a span in the tool."""
    model = FakeListChatModel(responses=["hi"])

    @tool
    def asks(x: int) -> str:
        """Ask a model."""
        for each in marking:
            each.mark("work")
        return model.invoke("question").content

    agent = RunnableLambda(lambda x: asks.invoke({"x": 1}), name="agent")
    return agent | RunnableLambda(lambda x: x, name="last")


class Shape(NamedTuple):
    """A chain and what it is given."""

    runnable: Runnable
    given: object


@pytest.fixture
def two(quiet):
    """Trace with two providers."""
    both = Tracing(), Tracing()
    yield both
    for each in both:
        each.settle()


@pytest.mark.parametrize("place", ["runtime", "constructor"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_each_provider_gets_the_whole_tree(two, way, place):
    """Both handlers at runtime, or one with the chain: either way each provider has all runs, in traces of its own."""
    first, second = two
    chain = agent_of()
    if place == "runtime":
        first.driven_by_langchain = [second.handler]
    else:
        chain = chain.with_config(callbacks=[second.handler])
    calls = await call(way, first, Shape(chain, 1))
    trees = [RecordedTrace([span for span in each.spans if span.name != "caller"]).tree() for each in two]
    assert [sorted_text(tree) for tree in trees] == ["\n".join([TREE] * calls)] * 2
    assert not {span.context.trace_id for span in first.spans} & {span.context.trace_id for span in second.spans}


def test_instrumented_code_is_below_the_current_span(two):
    """The current span is of the provider whose handler LangChain tells last; spans of either are below that one."""
    first, second = two
    chain = agent_of(first, second)
    chain.invoke(1, {"callbacks": [first.handler, second.handler]})
    tool_span = second.one("execute_tool asks").context
    assert first.one("work").parent == second.one("work").parent == tool_span
    assert first.one("chat").parent == first.one("execute_tool asks").context
    assert not trace.get_current_span().get_span_context().is_valid
