"""Retries and fallbacks: numbered, linked one to the other, under a parent that is no failure."""

import pytest
from langchain_core.runnables import RunnableLambda

from tests.context.shapes import Model, body


class Shaky(Model):
    """A model that fails twice."""

    tries: list

    def _fail(self):
        self.tries.append(1)
        if len(self.tries) < 3:
            raise ValueError("no")

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self._fail()
        return super()._generate(messages)

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        self._fail()
        return await super()._agenerate(messages)


def tries(spans, key):
    return [(span.name, span.attributes.get(key), [link.context for link in span.links]) for span in spans]


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_retries(tracing, way):
    """Two failures and a success are three attempts, each linked to the one before."""
    chain = body(tracing, "first") | Shaky(tracing=tracing, tries=[]).with_retry(wait_exponential_jitter=False)
    chain.invoke("x", tracing.config) if way == "sync" else await chain.ainvoke("x", tracing.config)
    one, two, three = tracing.named("chat")
    assert tries((one, two, three), "langchain.run.attempt") == [
        ("chat", 1, []),
        ("chat", 2, [one.context]),
        ("chat", 3, [two.context]),
    ]
    assert [span.status.is_ok for span in (one, two, three, tracing.one("RunnableSequence"))] == [
        False,
        False,
        True,
        True,
    ]
    assert "langchain.run.attempt" not in tracing.one("first").attributes


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_fallbacks(tracing, way):
    """What is tried after a failure is a fallback, numbered and linked to what failed."""

    def fail(given):
        raise ValueError("no")

    chain = RunnableLambda(fail, name="main").with_fallbacks(
        [RunnableLambda(fail, name="second"), body(tracing, "third")]
    )
    chain.invoke("x", tracing.config) if way == "sync" else await chain.ainvoke("x", tracing.config)
    main, second, third = tracing.one("main"), tracing.one("second"), tracing.one("third")
    assert tries((main, second, third), "langchain.run.fallback") == [
        ("main", None, []),
        ("second", 1, [main.context]),
        ("third", 2, [second.context]),
    ]
    assert tracing.one("RunnableWithFallbacks").status.is_ok


def test_what_is_not_tried(tracing):
    """A run within a try is none itself, nor one beside it."""
    inner = body(tracing, "inner")
    outer = RunnableLambda(inner.invoke, name="outer").with_retry()
    (outer | body(tracing, "after")).invoke("x", tracing.config)
    assert tracing.named("outer")[0].attributes["langchain.run.attempt"] == 1
    for name in ("inner", "after", "RunnableSequence"):
        assert "langchain.run.attempt" not in tracing.one(name).attributes
