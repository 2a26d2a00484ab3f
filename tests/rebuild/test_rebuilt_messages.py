"""Messages of the GenAI conventions as LangChain's."""

import json

import pytest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from runspan.payload import Kind
from runspan.rebuild import start_event
from tests.rebuild.span_events import rebuilt, span_data


def said(*parts, role="user"):
    """Return the LangChain messages of one message of these parts."""
    messages = json.dumps([{"role": role, "parts": parts}])
    start, _ = rebuilt(span_data(gen_ai__operation__name="chat", gen_ai__input__messages=messages))
    return start.args[1][0]


PARTS = {
    "blob": (
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk="},
        {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
    ),
    "uri": (
        {"type": "uri", "modality": "audio", "uri": "https://a.example/b.mp3"},
        {"type": "audio", "url": "https://a.example/b.mp3"},
    ),
    "file": (
        {"type": "file", "modality": "document", "file_id": "file_1"},
        {"type": "file", "file_id": "file_1"},
    ),
    "reasoning": ({"type": "reasoning", "content": "Hm."}, {"type": "reasoning", "reasoning": "Hm."}),
    "new": ({"type": "hologram", "content": 3}, {"type": "hologram", "content": 3}),
    "without a place": ({"type": "uri", "modality": "image"}, {"type": "uri", "modality": "image"}),
    "without a type": ({"text": 5}, {"type": "non_standard", "value": {"text": 5}}),
    "a type that is none": ({"type": ["text"]}, {"type": "non_standard", "value": {"type": ["text"]}}),
    "text that is none": (
        {"type": "text", "content": 5},
        {"type": "non_standard", "value": {"type": "text", "content": 5}},
    ),
    "a bare text": ("hi", {"type": "text", "text": "hi"}),
}


@pytest.mark.parametrize(("part", "block"), PARTS.values(), ids=PARTS)
def test_parts(part, block):
    """Each type of part is a content block of LangChain's; a new one is kept."""
    assert said({"type": "text", "content": "See:"}, part) == [HumanMessage([{"type": "text", "text": "See:"}, block])]


def test_roles():
    """A role that LangChain has no class for is kept in a ChatMessage, OpenAI's developer as LangChain has it."""
    text = {"type": "text", "content": "a"}

    assert said(text, role="critic") == [ChatMessage("a", role="critic")]
    assert said(text, role="developer") == [SystemMessage("a", additional_kwargs={"__openai_role__": "developer"})]
    assert said(text, role="tool") == [ToolMessage("a", tool_call_id="")]
    assert said(text, role="model") == [AIMessage("a")]
    assert said(role="user") == [HumanMessage("")]


def test_responses_among_other_parts():
    """Responses of tools that a provider puts into a user's message become messages of their own, in order."""
    blocks = [{"type": "text", "text": "3"}]
    responses = [{"type": "tool_call_response", "id": str(n), "response": each} for n, each in enumerate([blocks, {}])]

    assert said(*responses, {"type": "text", "content": "So?"}) == [
        ToolMessage("3", tool_call_id="0"),
        ToolMessage("{}", tool_call_id="1"),
        HumanMessage("So?"),
    ]


@pytest.mark.parametrize(
    ("arguments", "valid", "invalid"),
    [
        ({"a": 1}, {"a": 1}, None),
        ('{"a":1}', {"a": 1}, None),
        ("", {}, None),
        (None, {}, None),
        ('{"a":', None, '{"a":'),
        ([1], None, "[1]"),
        ("[1]", None, "[1]"),
    ],
)
def test_arguments_of_calls(arguments, valid, invalid):
    """Arguments are an object or its JSON; others make an invalid call, as in LangChain."""
    (message,) = said({"type": "tool_call", "id": "c", "name": "f", "arguments": arguments}, role="assistant")

    assert [call["args"] for call in message.tool_calls] == ([] if valid is None else [valid])
    assert [call["args"] for call in message.invalid_tool_calls] == ([] if invalid is None else [invalid])


def test_system_instructions():
    """Instructions apart from the history come first; a plain text counts too."""
    plain = span_data(gen_ai__operation__name="chat", gen_ai__system_instructions="Add.")
    parts = span_data(
        gen_ai__operation__name="chat",
        gen_ai__system_instructions='[{"type":"text","content":"Add."}]',
        gen_ai__input__messages="1 + 2?",
    )

    assert start_event(Kind.CHAT, plain).args[1] == [[SystemMessage("Add.")]]
    assert start_event(Kind.CHAT, parts).args[1] == [[SystemMessage("Add."), HumanMessage("1 + 2?")]]
