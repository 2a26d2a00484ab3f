"""Spans of Anthropic's SDK, which traces itself."""

import contextlib

import anthropic
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration
from opentelemetry.sdk.trace import Span, SpanProcessor

from devtools.anthropic_server import Answer, AnthropicServer, Failure, ToolUse, Usage
from runspan.payload import Kind
from runspan.rebuild import SpanData, end_event, kind_of, start_event
from tests.demo.asking import MODEL, SUM
from tests.rebuild.span_events import span_data_of
from tests.tracing import Tracing

ANSWER = Answer("3", tool_uses=[ToolUse("add", {"a": 1}, id="toolu_1")], usage=Usage(5, 7, 100, 20, 4))
RESULT = {"type": "tool_result", "tool_use_id": "toolu_0", "content": "3"}
CONVERSATION = [
    *SUM["messages"],
    {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_0", "name": "add", "input": {"a": 1}}]},
    {"role": "user", "content": [RESULT, {"type": "text", "text": "So?"}]},
]


class Starts(SpanProcessor):
    """Notes what spans say when they start."""

    def __init__(self) -> None:
        self.spans: list[SpanData] = []

    def on_start(self, span: Span, parent_context=None) -> None:
        self.spans.append(SpanData(span.name, dict(span.attributes)))


def ask(answer, content_mode, **request):
    """Return what the SDK's span of a call said at its start and at its end."""
    tracing, starts = Tracing(), Starts()
    tracing.provider.add_span_processor(starts)
    options = {"tracer_provider": tracing.provider, "traces": {"content_mode": content_mode}}
    with (
        AnthropicServer([answer]) as server,
        anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, open_telemetry=options) as client,
        pytest.raises(anthropic.APIStatusError) if isinstance(answer, Failure) else contextlib.nullcontext(),
    ):
        client.messages.create(**{**SUM, **request})
    (span,) = tracing.spans
    assert kind_of(starts.spans[0]) is Kind.CHAT
    return starts.spans[0], span_data_of(span)


@pytest.mark.newest
def test_start():
    """When the span starts, the call has its model and parameters, and no messages yet."""
    start = start_event(Kind.CHAT, ask(ANSWER, "content")[0])

    assert start.args == ({"lc": 1, "type": "not_implemented", "id": [MODEL], "name": MODEL}, [[]])
    assert start.kwargs == {
        "name": None,
        "tags": [],
        "metadata": {
            "ls_provider": "anthropic",
            "ls_model_name": MODEL,
            "ls_model_type": "chat",
            "ls_max_tokens": 100,
        },
        "invocation_params": {"model": MODEL, "max_tokens": 100, "stop": None},
        "options": {"stop": None},
        "batch_size": 1,
    }


@pytest.mark.parametrize(("content_mode", "content"), [("content", "3"), ("metadata_only", "")])
@pytest.mark.newest
def test_end(content_mode, content):
    """At the end there are usage, model and stop reason, and with the content also text and calls of tools."""
    end = end_event(Kind.CHAT, ask(ANSWER, content_mode)[1])

    calls = [{"name": "add", "args": {"a": 1}, "id": "toolu_1"}] if content else []
    response_id = "msg_000000000000000000000001"
    message = AIMessage(
        content,
        tool_calls=calls,
        id=response_id,
        response_metadata={"id": response_id, "model_name": MODEL, "stop_reason": "tool_use"},
        usage_metadata={
            "input_tokens": 129,
            "output_tokens": 7,
            "total_tokens": 136,
            "input_token_details": {"cache_read": 100, "cache_creation": 24},
        },
    )
    assert end.name == "on_llm_end"
    assert end.args[0].generations == [[ChatGeneration(message=message)]]


@pytest.mark.newest
def test_conversation():
    """An ended span tells the whole conversation: instructions, calls of tools, their results, what the user added."""
    _, ended = ask(Answer("3"), "content", system="Add.", messages=CONVERSATION)

    assert start_event(Kind.CHAT, ended).args[1] == [
        [
            SystemMessage("Add."),
            HumanMessage("What is 1 + 2?"),
            AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "toolu_0"}]),
            ToolMessage("3", tool_call_id="toolu_0"),
            HumanMessage("So?"),
        ]
    ]


@pytest.mark.newest
def test_thoughts():
    """What the model thought is a block of reasoning before its text."""
    _, ended = ask(Answer("3", thinking="A sum."), "content")

    message = end_event(Kind.CHAT, ended).args[0].generations[0][0].message
    assert message.content == [{"type": "reasoning", "reasoning": "A sum."}, {"type": "text", "text": "3"}]


@pytest.mark.newest
def test_error():
    """A call that fails ends with an error of the type that the SDK names."""
    _, ended = ask(Failure(529), "content")

    event = end_event(Kind.CHAT, ended)
    assert event.name == "on_llm_error"
    assert event.args[0].error_type == ended.attributes["error.type"]
    assert str(event.args[0]) == ended.error
