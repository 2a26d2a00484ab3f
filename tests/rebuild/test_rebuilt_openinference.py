"""Spans of OpenInference, with the attributes that its specification shows."""

import json

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from runspan.payload import Kind
from runspan.rebuild import SpanData, kind_of
from tests.rebuild.span_events import rebuilt

KINDS = {
    "LLM": Kind.CHAT,
    "CHAIN": Kind.CHAIN,
    "AGENT": Kind.CHAIN,
    "TOOL": Kind.TOOL,
    "RETRIEVER": Kind.RETRIEVER,
    "PROMPT": Kind.PROMPT,
    "EMBEDDING": None,
    "RERANKER": None,
    "GUARDRAIL": None,
    "EVALUATOR": None,
}
LLM = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.provider": "azure",
    "llm.model_name": "gpt-5",
    "llm.invocation_parameters": '{"model": "gpt-5", "temperature": 0.1, "max_tokens": null}',
    "session.id": "s-1",
    "tag.tags": ("shopping", "travel"),
    "metadata": '{"author": "Ann"}',
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Add.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "See:",
    "llm.input_messages.1.message.contents.1.message_content.type": "image",
    "llm.input_messages.1.message.contents.1.message_content.image.image.url": "https://a.example/b.png",
    "llm.input_messages.2.message.role": "assistant",
    "llm.input_messages.2.message.tool_calls.0.tool_call.id": "call_1",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "add",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": '{"a": 1}',
    # As text these indices sort otherwise.
    "llm.input_messages.10.message.role": "user",
    "llm.input_messages.10.message.content": "So?",
    "llm.input_messages.3.message.role": "tool",
    "llm.input_messages.3.message.content": "3",
    "llm.input_messages.3.message.tool_call_id": "call_1",
    "llm.input_messages.3.message.name": "add",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.contents.0.message_content.type": "reasoning",
    "llm.output_messages.0.message.contents.0.message_content.text": "A sum.",
    "llm.output_messages.0.message.contents.1.message_content.type": "text",
    "llm.output_messages.0.message.contents.1.message_content.text": "3",
    "llm.output_messages.0.message.function_call_name": "add",
    "llm.output_messages.0.message.function_call_arguments_json": '{"a": 1}',
    "llm.finish_reason": "stop",
    "llm.token_count.prompt": 30,
    "llm.token_count.completion": 12,
    "llm.token_count.total": 43,
    "llm.token_count.prompt_details.cache_read": 20,
    "llm.token_count.prompt_details.cache_write": 0,
    "llm.token_count.completion_details.reasoning": 8,
}


@pytest.mark.parametrize(("span_kind", "kind"), KINDS.items())
def test_kinds(span_kind, kind):
    """The kind of the span says what it is; kinds without callbacks are nothing."""
    assert kind_of(SpanData("", {"openinference.span.kind": span_kind})) is kind


def test_model():
    """Flattened messages are read in order, with their parts and calls of tools, usage and parameters."""
    start, end = rebuilt(SpanData("ChatOpenAI", LLM))

    assert start.args[0]["name"] == "gpt-5"
    assert start.args[1] == [
        [
            SystemMessage("Add."),
            HumanMessage([{"type": "text", "text": "See:"}, {"type": "image", "url": "https://a.example/b.png"}]),
            AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "call_1"}]),
            ToolMessage("3", tool_call_id="call_1", name="add"),
            HumanMessage("So?"),
        ]
    ]
    assert start.kwargs == {
        "name": None,
        "tags": ["shopping", "travel"],
        "metadata": {
            "author": "Ann",
            "session_id": "s-1",
            "ls_provider": "azure",
            "ls_model_name": "gpt-5",
            "ls_model_type": "chat",
            "ls_temperature": 0.1,
        },
        "invocation_params": {"model": "gpt-5", "temperature": 0.1, "max_tokens": None, "stop": None},
        "options": {"stop": None},
        "batch_size": 1,
    }
    message = end.args[0].generations[0][0].message
    assert message == AIMessage(
        [{"type": "reasoning", "reasoning": "A sum."}, {"type": "text", "text": "3"}],
        tool_calls=[{"name": "add", "args": {"a": 1}, "id": None}],
        response_metadata={"model_name": "gpt-5", "finish_reason": "stop"},
        usage_metadata={
            "input_tokens": 30,
            "output_tokens": 12,
            "total_tokens": 43,
            "input_token_details": {"cache_read": 20, "cache_creation": 0},
            "output_token_details": {"reasoning": 8},
        },
    )
    assert end.kwargs == {"tags": ["shopping", "travel"]}


def test_model_with_plain_texts():
    """Where there are no messages, a plain text given and got is one; a raw request in JSON is not."""
    values = {"input.value": "1 + 2?", "output.value": '{"choices":[]}', "output.mime_type": "application/json"}

    start, end = rebuilt(SpanData("", {"openinference.span.kind": "LLM", **values}))

    assert start.args[1] == [[HumanMessage("1 + 2?")]]
    assert end.args[0].generations[0][0].message == AIMessage("")


def test_chain():
    """The values of a chain are what their type says: JSON or plain text."""
    start, end = rebuilt(
        SpanData(
            "RunnableSequence",
            {
                "openinference.span.kind": "CHAIN",
                "input.value": '{"x": "hi"}',
                "input.mime_type": "application/json",
                "output.value": '{"x"}',
            },
        )
    )

    assert (start.kwargs["name"], start.args[1]) == ("RunnableSequence", {"x": "hi"})
    assert end.args == ('{"x"}',)


def test_tool():
    """A tool has its name, description and values; what describes its parameters is not taken for arguments."""
    start, end = rebuilt(
        SpanData(
            "add",
            {
                "openinference.span.kind": "TOOL",
                "tool.name": "add",
                "tool.description": "Adds.",
                "tool.parameters": '{"a": "int"}',
                "tool.id": "call_1",
                "input.value": '{"a": 1}',
                "input.mime_type": "application/json",
                "output.value": "3",
            },
        )
    )

    assert (start.args[0]["name"], start.args[0]["description"]) == ("add", "Adds.")
    assert (start.args[1], start.kwargs["inputs"]) == ("{'a': 1}", {"a": 1})
    assert end.args == (ToolMessage("3", tool_call_id="call_1", name="add"),)


def test_retriever():
    """A retriever has its query and its flattened documents."""
    documents = {
        "retrieval.documents.0.document.content": "A",
        "retrieval.documents.0.document.id": 1,
        "retrieval.documents.0.document.score": 0.98,
        "retrieval.documents.0.document.metadata": json.dumps({"source": "s"}),
        "retrieval.documents.1.document.content": "B",
    }

    start, end = rebuilt(
        SpanData("Retriever", {"openinference.span.kind": "RETRIEVER", "input.value": "q", **documents})
    )

    assert (start.name, start.args[1]) == ("on_retriever_start", "q")
    assert end.args == ([Document("A", id="1", metadata={"source": "s", "score": 0.98}), Document("B")],)
