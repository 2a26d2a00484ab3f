"""The ways to call a runnable, and every shape called every way."""

import pytest

from tests.context.shapes import SHAPES


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


async def call(way, tracing, shape):
    """Call a shape one of the ways, sync or async; return how many calls that was."""
    calls = way(tracing, shape)
    return calls if isinstance(calls, int) else await calls


each_shape_each_way = pytest.mark.parametrize(
    ("shape", "way"),
    [
        pytest.param(shape, way, id=f"{shape}-{way.__name__}")
        for shape in SHAPES
        for way in WAYS
        if (shape, way) not in UNLIKE
    ],
)
