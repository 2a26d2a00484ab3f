"""Every shape of runnable, called every way: the spans of instrumented code sit under the run that did the work."""

import pytest

from tests.context.shapes import SHAPES
from tests.tracing import sorted_text


def invoke(tracing, shape):
    shape.runnable.invoke(shape.given, tracing.config)
    return 1


async def ainvoke(tracing, shape):
    await shape.runnable.ainvoke(shape.given, tracing.config)
    return 1


def stream(tracing, shape):
    for _ in shape.runnable.stream(shape.given, tracing.config):
        tracing.mark("caller")
    return 1


async def astream(tracing, shape):
    async for _ in shape.runnable.astream(shape.given, tracing.config):
        tracing.mark("caller")
    return 1


def batch(tracing, shape):
    shape.runnable.batch([shape.given, _other(shape.given)], tracing.config)
    return 2


async def abatch(tracing, shape):
    await shape.runnable.abatch([shape.given, _other(shape.given)], tracing.config)
    return 2


async def astream_events(tracing, shape):
    async for _ in shape.runnable.astream_events(shape.given, tracing.config, version="v2"):
        tracing.mark("caller")
    return 1


def _other(given):
    return list(given) if isinstance(given, list) else given


WAYS = [invoke, ainvoke, stream, astream, batch, abatch, astream_events]
NOT_COMPARED = {"caller", "model_to_tools", "tools_to_model"}  # langchain 1.0 shows the edges of an agent
UNLIKE = {
    ("retry", stream),  # LangChain does not retry streams
    ("retry", astream),
    ("retry", astream_events),
    ("completion_in_chain", batch),  # one request for all prompts, see test_together.py
    ("completion_in_chain", abatch),
}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("shape", "call"),
    [
        pytest.param(shape, way, id=f"{shape}-{way.__name__}")
        for shape in SHAPES
        for way in WAYS
        if (shape, way) not in UNLIKE
    ],
)
async def test_each_span_is_under_the_run_that_did_the_work(tracing, shape, call):
    """A call gives one trace, with the spans of instrumented code in place, and the caller's outside."""
    made = SHAPES[shape](tracing)
    calls = call(tracing, made)
    calls = await calls if not isinstance(calls, int) else calls
    tracing.mark("caller")

    lines = tracing.text().splitlines()
    assert "caller" in lines
    text = "\n".join(line for line in lines if line.strip() not in NOT_COMPARED)
    assert sorted_text(text) == sorted_text("\n".join([made.trace] * calls))
    assert tracing.handler.open_runs == 0
