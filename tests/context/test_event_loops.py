"""Event loops that do less than asyncio's own."""

import sys
from contextlib import contextmanager

from langchain_core.prompts import ChatPromptTemplate

from tests.fakes import Model


@contextmanager
def no_hooks_of_generators():
    """Run as in the loop of ``nest_asyncio``, which installs no hooks for async generators."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(*hooks)


async def test_a_loop_may_have_no_hooks_of_async_generators(tracing):
    """A model is one whole span in such a loop, with its answer, and its request below it."""
    chain = ChatPromptTemplate.from_template("{question}") | Model(tracing=tracing)
    with no_hooks_of_generators():
        await chain.ainvoke({"question": "x"}, tracing.config)
    assert tracing.text().splitlines() == ["RunnableSequence", "  ChatPromptTemplate", "  chat", "    http"]
    assert "gen_ai.output.messages" in tracing.one("chat").attributes
