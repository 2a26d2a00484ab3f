"""What providers' packages put beside the content of an answer: in outputs, and in the next call's inputs."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, LLMResult

from runspan.payload import input_messages, output_messages
from runspan.payload.request_content import request_content
from runspan.payload.writer import UNLIMITED

CALL = {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1", "type": "tool_call"}
DIGEST = hashlib.sha256(b"RIF").hexdigest()
CALL_PART = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}}
THOUGHT = {"type": "reasoning", "content": "Oslo, then."}


def text(content):
    return {"type": "text", "content": content}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        pytest.param(
            AIMessage("", additional_kwargs={"refusal": "I won't."}),
            [{"type": "refusal", "refusal": "I won't."}],
            id="openai-refusal",
        ),
        pytest.param(AIMessage("Yes.", additional_kwargs={"refusal": None}), [text("Yes.")], id="openai-no-refusal"),
        pytest.param(
            AIMessage("", additional_kwargs={"function_call": {"name": "weather", "arguments": '{"city": "Oslo"}'}}),
            [{"type": "tool_call", "name": "weather", "arguments": {"city": "Oslo"}}],
            id="openai-function-call",
        ),
        pytest.param(
            AIMessage("", additional_kwargs={"function_call": {"name": "weather", "arguments": '{"city": "Os'}}),
            [{"type": "tool_call", "name": "weather", "arguments": '{"city": "Os'}],
            id="openai-function-call-cut",
        ),
        pytest.param(
            AIMessage("", tool_calls=[CALL], additional_kwargs={"function_call": {"name": "weather"}}),
            [CALL_PART],
            id="vertex-says-a-call-in-both-forms",
        ),
        pytest.param(
            AIMessage("", additional_kwargs={"audio": {"id": "a_1", "data": "UklG", "transcript": "Rain."}}),
            [{"type": "uri", "modality": "audio", "uri": f"sha256:{DIGEST}", "size": 3}, text("Rain.")],
            id="openai-spoken",
        ),
        pytest.param(
            AIMessage("", additional_kwargs={"audio": {"id": "a_1", "transcript": "Rain."}}),
            [{"type": "file", "modality": "audio", "file_id": "a_1"}, text("Rain.")],
            id="openai-spoken-by-id",
        ),
        pytest.param(
            AIMessage("Rain.", additional_kwargs={"reasoning_content": "Oslo, then."}),
            [THOUGHT, text("Rain.")],
            id="thoughts-of-groq-deepseek-xai-ollama",
        ),
        pytest.param(
            AIMessage(
                "Rain.",
                additional_kwargs={
                    "reasoning": {"id": "rs_1", "summary": [{"type": "summary_text", "text": "Oslo, then."}]}
                },
            ),
            [THOUGHT, text("Rain.")],
            id="openai-v0-thoughts",
        ),
        pytest.param(
            AIMessage(
                "Rain.", additional_kwargs={"tool_outputs": [{"type": "web_search_call", "id": "ws_1", "status": "ok"}]}
            ),
            [
                text("Rain."),
                {
                    "type": "server_tool_call",
                    "id": "ws_1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "status": "ok"},
                },
            ],
            id="openai-v0-server-tools",
        ),
        pytest.param(
            AIMessage(
                [{"type": "reasoning", "reasoning": "Oslo, then."}, {"type": "text", "text": "Rain."}],
                additional_kwargs={"reasoning_content": "Oslo, then."},
            ),
            [THOUGHT, text("Rain.")],
            id="v1-thoughts-in-both",
        ),
        pytest.param(
            AIMessageChunk(
                [
                    {
                        "type": "tool_call_chunk",
                        "id": "call_1",
                        "name": "weather",
                        "args": '{"city": "Oslo"}',
                        "index": 0,
                    }
                ],
                tool_call_chunks=[
                    {
                        "type": "tool_call_chunk",
                        "id": "call_1",
                        "name": "weather",
                        "args": '{"city": "Oslo"}',
                        "index": 0,
                    }
                ],
            ),
            [CALL_PART],
            id="v1-call-in-chunks",
        ),
        pytest.param(
            AIMessage([{"type": "non_standard", "value": {"type": "refusal", "refusal": "I won't."}}]),
            [{"type": "refusal", "refusal": "I won't."}],
            id="v1-refusal",
        ),
        pytest.param(AIMessage("Rain.", additional_kwargs={"parsed": object()}), [text("Rain.")], id="unknown"),
    ],
)
def test_what_stands_beside_the_content_is_a_part_once(message, parts):
    """A refusal, a legacy call, a spoken answer and thoughts are parts of the message wherever it stands."""
    response = LLMResult(generations=[[ChatGeneration(message=message)]])
    for name, attributes in (
        ("gen_ai.input.messages", input_messages([message])),
        ("gen_ai.output.messages", output_messages(response)),
    ):
        assert [each["parts"] for each in json.loads(attributes[name])] == [parts]


_VALUES = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2) | st.just(object())
_KEYS = ("refusal", "function_call", "audio", "reasoning_content", "reasoning", "tool_outputs")


@given(
    st.dictionaries(
        st.sampled_from(_KEYS),
        _VALUES | st.dictionaries(st.sampled_from(("id", "data", "transcript", "name", "arguments", "type")), _VALUES),
    )
)
def test_values_of_any_shape_cost_no_text(beside):
    """Whatever stands beside the content, the text of the message is recorded."""
    (message,) = json.loads(input_messages([AIMessage("Rain.", additional_kwargs=beside)])["gen_ai.input.messages"])
    assert text("Rain.") in message["parts"]


@pytest.mark.parametrize(
    ("invocation_params", "instructions"),
    [
        ({"instructions": "Answer in French."}, '[{"type":"text","content":"Answer in French."}]'),
        ({"instructions": ""}, None),
        ({"instructions": None}, None),
        ({"instructions": ["no text"]}, None),
        ({"preamble": "Answer in French."}, '[{"type":"text","content":"Answer in French."}]'),
        ({"system": "Answer in French."}, '[{"type":"text","content":"Answer in French."}]'),
        (
            {"system": [{"type": "text", "text": "In French."}, "Briefly.", {"cachePoint": {}}, {"text": ""}, 5, None]},
            '[{"type":"text","content":"In French."},{"type":"text","content":"Briefly."}]',
        ),
        ({"system": []}, None),
        ({"system": 5}, None),
        ({}, None),
        (None, None),
    ],
)
def test_instructions_apart_from_the_messages(invocation_params, instructions):
    """What providers take apart from the messages are system instructions, also in a constructor; only text is."""
    assert request_content(invocation_params).get("gen_ai.system_instructions") == instructions
    assert request_content({}, None, UNLIMITED, invocation_params).get("gen_ai.system_instructions") == instructions


def test_instructions_and_tools_go_together():
    """A request may have both."""
    tool = {"type": "function", "name": "weather"}
    found = request_content({"instructions": "Be brief.", "tools": [tool]})
    assert {name: json.loads(value) for name, value in found.items()} == {
        "gen_ai.tool.definitions": [tool],
        "gen_ai.system_instructions": [text("Be brief.")],
    }
