"""Errors that spans tell of."""

import asyncio

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from runspan.payload import Kind
from runspan.rebuild import SpanError, end_event
from tests.rebuild.span_events import span_data

EXCEPTION = ("exception", {"exception.type": "httpx.ReadTimeout", "exception.message": "too slow"})
TOLD = {
    "description and type": (span_data(error="no", error__type="ValueError"), "no", "ValueError"),
    "description before exception": (span_data(error="no", events=[EXCEPTION]), "no", "httpx.ReadTimeout"),
    "exception": (span_data(error="", events=[("exception", {}), EXCEPTION]), "too slow", "httpx.ReadTimeout"),
    "nothing": (span_data(error=""), "", None),
    "wrong types": (span_data(error="", error__type=5, events=[("exception", {"exception.message": b"x"})]), "", None),
}
NAMES = {
    Kind.CHAIN: "on_chain_error",
    Kind.PROMPT: "on_chain_error",
    Kind.PARSER: "on_chain_error",
    Kind.CHAT: "on_llm_error",
    Kind.COMPLETION: "on_llm_error",
    Kind.TOOL: "on_tool_error",
    Kind.RETRIEVER: "on_retriever_error",
}


@pytest.mark.parametrize(("span", "message", "error_type"), TOLD.values(), ids=TOLD)
def test_errors(span, message, error_type):
    """An error has the text and the type that the span knows, of its status before those of an exception's event."""
    event = end_event(Kind.CHAIN, span)

    assert (event.name, event.kwargs) == ("on_chain_error", {"tags": []})
    (error,) = event.args
    assert (type(error), str(error), error.error_type) == (SpanError, message, error_type)


@pytest.mark.parametrize(("kind", "name"), NAMES.items())
def test_names(kind, name):
    """Each kind of run has the event of its errors."""
    assert end_event(kind, span_data(error="no")).name == name


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("cancelled", asyncio.CancelledError),
        ("abandoned", GeneratorExit),
        ("interrupted", SpanError),
        ("handed_off", SpanError),
    ],
)
def test_outcomes(outcome, kind):
    """Outcomes of runspan's that are no errors of a span are those that LangChain would have told of."""
    event = end_event(Kind.TOOL, span_data(langchain__run__outcome=outcome, langchain__tags=("t",)))

    assert event.name == "on_tool_error"
    assert type(event.args[0]) is kind
    assert event.kwargs == {"tags": ["t"], "tool_call_id": None}


def test_what_had_come_before():
    """A model that fails has said what the span holds, as LangChain tells it."""
    span = span_data(
        error="cut",
        gen_ai__output__messages='[{"role":"assistant","parts":[{"type":"text","content":"1 +"}]}]',
    )

    assert end_event(Kind.CHAT, span).kwargs["response"] == LLMResult(
        generations=[[ChatGeneration(message=AIMessage("1 +"))]], llm_output={}
    )
    assert end_event(Kind.CHAT, span_data(error="no")).kwargs["response"] == LLMResult(generations=[[]], llm_output={})
