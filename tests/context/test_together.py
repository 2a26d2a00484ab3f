"""Runs that one frame starts together, before any of them works."""

import pytest
from langchain_core.messages import HumanMessage

from tests.fakes import Completion, Model, body

pytestmark = pytest.mark.usefixtures("quiet")


def test_generate_of_several_lists(tracing):
    """Each of the lists that one ``generate`` takes has its own run, with the spans of its own request."""
    Model(tracing=tracing).generate(
        [[HumanMessage("a")], [HumanMessage("b")], [HumanMessage("c")]], callbacks=[tracing.handler]
    )
    tracing.mark("caller")
    assert tracing.text() == "chat\n  http\nchat\n  http\nchat\n  http\ncaller"


async def test_generate_of_several_lists_asynchronously(tracing):
    """The same where the requests are made at the same time."""
    await Model(tracing=tracing).agenerate([[HumanMessage("a")], [HumanMessage("b")]], callbacks=[tracing.handler])
    tracing.mark("caller")
    assert tracing.text() == "chat\n  http\nchat\n  http\ncaller"


def test_a_batch_of_completions_is_one_request(tracing):
    """A completion model asks for all prompts of a batch in one request: it is under the first of the runs."""
    (body(tracing, "first") | Completion(tracing=tracing)).batch(["a", "b"], tracing.config)
    assert len(tracing.named("http")) == 1
    assert tracing.one("http").parent in [span.context for span in tracing.named("text_completion")]
    assert len(tracing.named("text_completion")) == 2
    assert {span.parent.span_id for span in tracing.named("text_completion")} == {
        span.context.span_id for span in tracing.named("RunnableSequence")
    }


async def test_an_async_completion_by_itself_has_its_run(tracing):
    """LangChain starts an async completion in a task of its own, so its request is the caller's; the run is whole."""
    with tracing.span("request"):
        await Completion(tracing=tracing).ainvoke("x", tracing.config)
    assert tracing.text() == "request\n  text_completion\n  http"
