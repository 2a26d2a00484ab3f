"""Spans of OpenLLMetry, with the attributes that its instrumentations write."""

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import Generation

from runspan.payload import Kind
from runspan.rebuild import SpanData, kind_of
from tests.rebuild.span_events import rebuilt

KINDS = {
    ("llm.request.type", "chat"): Kind.CHAT,
    ("llm.request.type", "completion"): Kind.COMPLETION,
    ("llm.request.type", "embedding"): None,
    ("traceloop.span.kind", "workflow"): Kind.CHAIN,
    ("traceloop.span.kind", "task"): Kind.CHAIN,
    ("traceloop.span.kind", "agent"): Kind.CHAIN,
    ("traceloop.span.kind", "tool"): Kind.TOOL,
    ("traceloop.span.kind", "unknown"): None,
}
CHAT = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-0601",
    "gen_ai.response.id": "resp_1",
    "llm.top_k": 5,
    "llm.is_streaming": False,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Add.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": '[{"type":"text","text":"See:"},{"type":"image_url","image_url":{"url":"https://a.example/b"}}]',
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.tool_calls.0.id": "call_1",
    "gen_ai.prompt.2.tool_calls.0.name": "add",
    "gen_ai.prompt.2.tool_calls.0.arguments": '{"a": 1}',
    "gen_ai.prompt.3.role": "tool",
    "gen_ai.prompt.3.content": "3",
    "gen_ai.prompt.3.tool_call_id": "call_1",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "3",
    "gen_ai.completion.0.finish_reason": "stop",
    "gen_ai.usage.input_tokens": 30,
    "gen_ai.usage.output_tokens": 12,
    "llm.usage.total_tokens": 42,
    "gen_ai.usage.cache_read_input_tokens": 20,
}


@pytest.mark.parametrize(("attribute", "kind"), KINDS.items())
def test_kinds(attribute, kind):
    """The type of request or the kind of entity says what a span is."""
    assert kind_of(SpanData("", dict([attribute]))) is kind


def test_chat():
    """Flattened messages are read with content blocks, calls of tools and usage."""
    start, end = rebuilt(SpanData("openai.chat", CHAT))

    assert start.args[1] == [
        [
            SystemMessage("Add."),
            HumanMessage(
                [
                    {"type": "text", "text": "See:"},
                    {"type": "image_url", "image_url": {"url": "https://a.example/b"}},
                ]
            ),
            AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "call_1"}]),
            ToolMessage("3", tool_call_id="call_1"),
        ]
    ]
    assert start.kwargs["invocation_params"] == {"model": "gpt-5", "top_k": 5, "stop": None, "stream": False}
    assert start.kwargs["metadata"]["ls_provider"] == "openai"
    assert end.args[0].generations[0][0].message == AIMessage(
        "3",
        id="resp_1",
        response_metadata={"id": "resp_1", "model_name": "gpt-5-0601", "finish_reason": "stop"},
        usage_metadata={
            "input_tokens": 30,
            "output_tokens": 12,
            "total_tokens": 42,
            "input_token_details": {"cache_read": 20},
        },
    )


def test_thoughts():
    """What an Anthropic model thought stands in a choice of its own, and belongs to the answer."""
    choices = {
        "gen_ai.completion.0.role": "thinking",
        "gen_ai.completion.0.content": "A sum.",
        "gen_ai.completion.1.role": "assistant",
        "gen_ai.completion.1.content": "3",
    }
    _, end = rebuilt(SpanData("anthropic.chat", {"llm.request.type": "chat", **choices}))

    assert [generation.message for generation in end.args[0].generations[0]] == [
        AIMessage([{"type": "reasoning", "reasoning": "A sum."}, {"type": "text", "text": "3"}])
    ]


def test_thoughts_alone():
    """Thoughts without an answer are an answer."""
    choice = {"gen_ai.completion.0.role": "thinking", "gen_ai.completion.0.content": "Hm."}

    _, end = rebuilt(SpanData("anthropic.chat", {"llm.request.type": "chat", **choice}))

    assert end.args[0].generations[0][0].message == AIMessage([{"type": "reasoning", "reasoning": "Hm."}])


@pytest.mark.parametrize("name", ["gen_ai.prompt.0.user", "gen_ai.prompt.0.content"])
def test_completion(name):
    """A completion has its prompt as content, or under the role alone."""
    start, end = rebuilt(
        SpanData("completion", {"llm.request.type": "completion", name: "1 + 2 =", "gen_ai.completion.0.content": " 3"})
    )

    assert (start.name, start.args[1]) == ("on_llm_start", ["1 + 2 ="])
    assert end.args[0].generations == [[Generation(text=" 3")]]


def test_prompt_that_is_json():
    """A text of the user's that happens to be JSON stays a text."""
    prompt = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": '[{"type": "restaurant"}]'}

    start, _ = rebuilt(SpanData("openai.chat", {"llm.request.type": "chat", **prompt}))

    assert start.args[1] == [[HumanMessage('[{"type": "restaurant"}]')]]


ENTITIES = {
    "a LangChain run": ({"inputs": {"x": 1}, "tags": [], "metadata": {}, "kwargs": {}}, {"x": 1}),
    "a call by name": ({"args": [], "kwargs": {"x": 1}}, {"x": 1}),
    "a call by position": ({"args": [1], "kwargs": {}}, {"args": [1], "kwargs": {}}),
}


@pytest.mark.parametrize(("value", "inputs"), ENTITIES.values(), ids=ENTITIES)
def test_workflow(value, inputs):
    """An entity is a chain by its own name, its inputs freed from the envelope."""
    entity = {
        "traceloop.span.kind": "workflow",
        "traceloop.entity.name": "sums",
        "traceloop.entity.input": json.dumps(value),
        "traceloop.entity.output": '{"outputs": {"y": 3}, "kwargs": {}}',
    }

    start, end = rebuilt(SpanData("sums.workflow", entity))

    assert (start.kwargs["name"], start.args[0]["name"], start.args[1]) == ("sums", "sums", inputs)
    assert end.args == ({"y": 3},)


def test_tools():
    """A tool of LangChain's has a text for input where it has no arguments; a function has what it returned."""
    run = {"input_str": "what?", "tags": None, "metadata": None, "inputs": None, "kwargs": {}}
    entity = {"traceloop.span.kind": "tool", "traceloop.entity.name": "look"}

    start, end = rebuilt(
        SpanData(
            "look.tool",
            {
                **entity,
                "traceloop.entity.input": json.dumps(run),
                "traceloop.entity.output": '{"output": "seen", "kwargs": {}}',
            },
        )
    )
    _, function_end = rebuilt(SpanData("look.tool", {**entity, "traceloop.entity.output": '"seen"'}))

    assert (start.args[0]["name"], start.args[1], start.kwargs["inputs"]) == ("look", "what?", None)
    assert end.args == function_end.args == ("seen",)
