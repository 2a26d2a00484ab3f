"""Spans of the GenAI conventions before 1.37."""

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from tests.rebuild.span_events import rebuilt, span_data

CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
ASKED = [
    SystemMessage("Add."),
    HumanMessage("1 + 2?"),
    AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "call_1"}]),
    ToolMessage("3", tool_call_id="call_1"),
]
ANSWERED = AIMessage(
    "3",
    response_metadata={"finish_reason": "stop"},
    usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
)


def azure(**body):
    """Return the attributes of an event as Azure's SDKs write them."""
    return {"gen_ai.system": "az.ai.inference", "gen_ai.event.content": json.dumps(body)}


EVENTS = {
    "in attributes": [
        ("gen_ai.system.message", {"content": "Add."}),
        ("gen_ai.user.message", {"content": "1 + 2?", "role": "user"}),
        ("gen_ai.assistant.message", {"tool_calls": json.dumps([CALL])}),
        ("gen_ai.tool.message", {"content": "3", "id": "call_1"}),
        ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": '{"content":"3","role":"assistant"}'}),
    ],
    "as JSON": [
        ("gen_ai.system.message", azure(role="system", content="Add.")),
        ("gen_ai.user.message", azure(role="user", content="1 + 2?")),
        ("gen_ai.assistant.message", azure(role="assistant", tool_calls=[CALL])),
        ("gen_ai.tool.message", azure(role="tool", tool_call_id="call_1", content="3")),
        ("gen_ai.choice", azure(index=0, finish_reason="stop", message={"content": "3"})),
    ],
    "all at once": [
        (
            "gen_ai.content.prompt",
            {
                "gen_ai.prompt": json.dumps(
                    [
                        {"role": "system", "content": "Add."},
                        {"role": "user", "content": [{"type": "text", "text": "1 + 2?"}]},
                        {"role": "assistant", "content": None, "tool_calls": [CALL]},
                        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
                    ]
                )
            },
        ),
        (
            "gen_ai.content.completion",
            {"gen_ai.completion": json.dumps([{"role": "assistant", "content": "3", "finish_reason": "stop"}])},
        ),
    ],
}


@pytest.mark.parametrize("events", EVENTS.values(), ids=EVENTS)
def test_events(events):
    """Messages in events of the span, usage and provider under older names."""
    start, end = rebuilt(
        span_data(
            gen_ai__operation__name="chat",
            gen_ai__system="az.ai.inference",
            gen_ai__usage__prompt_tokens=3,
            gen_ai__usage__completion_tokens=4,
            events=events,
        )
    )

    assert start.kwargs["metadata"]["ls_provider"] == "az.ai.inference"
    assert start.args[1] == [ASKED]
    assert end.args[0].generations[0][0].message == ANSWERED


def test_choices():
    """A choice may be a bare text, or have its calls of tools beside the message."""
    choices = [
        ("gen_ai.choice", {"message": "three", "finish_reason": "stop"}),
        ("gen_ai.choice", azure(index=1, message={}, tool_calls=[CALL])),
    ]
    _, end = rebuilt(span_data(gen_ai__operation__name="chat", events=choices))

    assert [generation.message for generation in end.args[0].generations[0]] == [
        AIMessage("three", response_metadata={"finish_reason": "stop"}),
        AIMessage("", tool_calls=ASKED[2].tool_calls),
    ]


def test_texts_in_attributes():
    """A prompt and a completion may be bare texts, in attributes of the span itself."""
    start, end = rebuilt(span_data(gen_ai__operation__name="chat", gen_ai__prompt="1 + 2?", gen_ai__completion="3"))

    assert start.args[1] == [[HumanMessage("1 + 2?")]]
    assert end.args[0].generations[0][0].message == AIMessage("3")


def test_today_counts_first():
    """Where a span says a thing in both ways, today's way counts."""
    start, _ = rebuilt(
        span_data(
            gen_ai__operation__name="chat",
            gen_ai__provider__name="aws.bedrock",
            gen_ai__system="aws_bedrock",
            gen_ai__input__messages='[{"role":"user","parts":[{"type":"text","content":"new"}]}]',
            events=EVENTS["in attributes"],
        )
    )

    assert start.kwargs["metadata"]["ls_provider"] == "amazon_bedrock"
    assert start.args[1] == [[HumanMessage("new")]]


def test_conversation_of_an_agent():
    """An agent's events are its inputs and outputs."""
    start, end = rebuilt(span_data(gen_ai__operation__name="invoke_agent", events=EVENTS["as JSON"]))

    assert start.args[1] == {"messages": ASKED}
    assert end.args == ({"messages": [AIMessage("3")]},)
