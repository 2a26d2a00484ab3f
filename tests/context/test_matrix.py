"""Every shape of runnable, called every way: the spans of instrumented code sit under the run that did the work."""

import pytest

from tests.context.shapes import SHAPES
from tests.context.ways import NOT_COMPARED, call, each_shape_each_way
from tests.tracing import sorted_text


@pytest.mark.usefixtures("quiet")
@each_shape_each_way
async def test_each_span_is_under_the_run_that_did_the_work(tracing, shape, way):
    """A call gives one trace, with the spans of instrumented code in place, and the caller's outside."""
    made = SHAPES[shape](tracing)
    calls = await call(way, tracing, made)
    tracing.mark("caller")

    lines = tracing.text().splitlines()
    assert "caller" in lines
    text = "\n".join(line for line in lines if line.strip() not in NOT_COMPARED)
    assert sorted_text(text) == sorted_text("\n".join([made.trace] * calls))
    assert tracing.handler.open_runs == 0
