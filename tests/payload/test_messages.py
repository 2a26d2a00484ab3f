"""Messages as the packages of providers build them, and what becomes of them."""

import hashlib
import json

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk, LLMResult

from runspan.payload import input_messages, input_prompts, output_messages

WEATHER = {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1", "type": "tool_call"}
WEATHER_PART = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}}


class Note(BaseMessage):
    """A message class of the application."""

    type: str = "note"


def told(*messages):
    """Return the messages as they are written to a span."""
    attributes = input_messages(messages)
    assert list(attributes) == ["gen_ai.input.messages"]
    return json.loads(attributes["gen_ai.input.messages"])


def text(content):
    return {"type": "text", "content": content}


@pytest.mark.parametrize(
    ("message", "role", "parts"),
    [
        (SystemMessage("Be brief."), "system", [text("Be brief.")]),
        (HumanMessage("Hi"), "user", [text("Hi")]),
        (AIMessage("Hello"), "assistant", [text("Hello")]),
        (AIMessageChunk("Hello"), "assistant", [text("Hello")]),
        (ChatMessage("Hi", role="developer"), "developer", [text("Hi")]),
        (Note("Hi"), "note", [text("Hi")]),
        (HumanMessage(""), "user", []),
        (HumanMessage(["a", {"type": "text", "text": "b"}]), "user", [text("a"), text("b")]),
        (FunctionMessage("4", name="double"), "tool", [{"type": "tool_call_response", "response": "4"}]),
        (
            ToolMessage("4", tool_call_id="call_1"),
            "tool",
            [{"type": "tool_call_response", "id": "call_1", "response": "4"}],
        ),
        (
            ToolMessage([{"type": "text", "text": "4"}], tool_call_id="call_1"),
            "tool",
            [{"type": "tool_call_response", "id": "call_1", "response": [{"type": "text", "text": "4"}]}],
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseMessage) else None,
)
def test_each_class_has_its_role(message, role, parts):
    """LangChain's classes become the roles of the conventions, other roles stay as they are."""
    assert [{key: found for key, found in each.items() if key != "name"} for each in told(message)] == [
        {"role": role, "parts": parts}
    ]


def test_a_name_is_kept_and_order_too():
    """Messages stay in the order sent, with the name of who speaks."""
    assert told(SystemMessage("Be brief."), HumanMessage("Hi", name="Ada")) == [
        {"role": "system", "parts": [text("Be brief.")]},
        {"role": "user", "name": "Ada", "parts": [text("Hi")]},
    ]


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        pytest.param(
            AIMessage(
                [
                    {"type": "thinking", "thinking": "Oslo, then.", "signature": "EqQB"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
                ],
                tool_calls=[WEATHER],
                response_metadata={"model_provider": "anthropic"},
            ),
            [{"type": "reasoning", "content": "Oslo, then."}, text("I look."), WEATHER_PART],
            id="anthropic",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "redacted_thinking", "data": "EmwK"},
                    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
                    {
                        "type": "web_search_tool_result",
                        "tool_use_id": "srv_1",
                        "content": [{"url": "https://example.com"}],
                    },
                    {"type": "text", "text": "Found.", "citations": [{"url": "https://example.com"}]},
                ]
            ),
            [
                {"type": "redacted_thinking", "data": "EmwK"},
                {
                    "type": "server_tool_call",
                    "id": "srv_1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "input": {"query": "x"}},
                },
                {
                    "type": "server_tool_call_response",
                    "id": "srv_1",
                    "server_tool_call_response": {"type": "web_search", "content": [{"url": "https://example.com"}]},
                },
                text("Found."),
            ],
            id="anthropic-server-tools",
        ),
        pytest.param(
            AIMessage(
                [
                    {
                        "type": "server_tool_use",
                        "id": "srv_1",
                        "name": "web_search",
                        "input": {},
                        "partial_json": '{"query": "x"}',
                        "index": 3,
                    },
                    {"type": "server_tool_use", "id": "srv_2", "name": "web_search", "partial_json": '{"qu'},
                    {"type": "server_tool_use", "id": "srv_3", "name": "web_search", "input": {}, "partial_json": ""},
                ]
            ),
            [
                {
                    "type": "server_tool_call",
                    "id": f"srv_{number}",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", **call},
                }
                for number, call in enumerate(
                    [{"input": {"query": "x"}}, {"input": '{"qu'}, {"input": {}, "partial_json": ""}], 1
                )
            ],
            id="anthropic-server-tools-streamed",
        ),
        pytest.param(
            AIMessage(
                "",
                tool_calls=[WEATHER],
                additional_kwargs={
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
                    ],
                    "refusal": None,
                },
            ),
            [WEATHER_PART],
            id="openai-chat",
        ),
        pytest.param(
            AIMessage(
                [
                    {
                        "id": "rs_1",
                        "type": "reasoning",
                        "summary": [
                            {"type": "summary_text", "text": "First."},
                            {"type": "summary_text", "text": "Then."},
                        ],
                    },
                    {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
                    {"type": "text", "text": "I look.", "annotations": [], "id": "msg_1"},
                    {"type": "function_call", "name": "weather", "arguments": "{}", "call_id": "call_1", "id": "fc_1"},
                ],
                id="resp_1",
                tool_calls=[WEATHER],
            ),
            [{"type": "reasoning", "content": "First.\nThen."}, text("I look."), WEATHER_PART],
            id="openai-responses",
        ),
        pytest.param(
            AIMessage([{"type": "refusal", "refusal": "No.", "id": "msg_1"}]),
            [{"type": "refusal", "refusal": "No.", "id": "msg_1"}],
            id="openai-refusal",
        ),
        pytest.param(
            AIMessage(
                "",
                invalid_tool_calls=[
                    {
                        "name": "weather",
                        "args": '{"city": "Os',
                        "id": "call_1",
                        "error": "bad",
                        "type": "invalid_tool_call",
                    }
                ],
            ),
            [{"type": "tool_call", "id": "call_1", "name": "weather", "arguments": '{"city": "Os'}],
            id="invalid-call",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "thinking", "thinking": "Oslo.", "signature": "CpYC"},
                    {"type": "text", "text": "Rain.", "extras": {"signature": "CpYC"}},
                ]
            ),
            [{"type": "reasoning", "content": "Oslo."}, text("Rain.")],
            id="google",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "reasoning_content", "reasoning_content": {"text": "Oslo.", "signature": "x"}},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "name": "weather", "input": {"city": "Oslo"}, "id": "call_1"},
                ],
                tool_calls=[WEATHER],
            ),
            [{"type": "reasoning", "content": "Oslo."}, text("I look."), WEATHER_PART],
            id="bedrock-converse",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Oslo."}]},
                    {"type": "text", "text": "Rain."},
                ]
            ),
            [{"type": "reasoning", "content": "Oslo."}, text("Rain.")],
            id="mistral",
        ),
        pytest.param(
            AIMessage("Rain.", additional_kwargs={"reasoning_content": "Oslo."}),
            [{"type": "reasoning", "content": "Oslo."}, text("Rain.")],
            id="ollama",
        ),
        pytest.param(
            AIMessage(content_blocks=[{"type": "reasoning", "reasoning": "Oslo."}, WEATHER]),
            [{"type": "reasoning", "content": "Oslo."}, WEATHER_PART],
            id="standard-blocks",
        ),
        pytest.param(
            AIMessage([{"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}]),
            [WEATHER_PART],
            id="call-only-in-content",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "mcp_tool_use", "id": "mcp_1", "name": "look", "server_name": "shelf", "input": {}},
                    {"type": "mcp_tool_result", "tool_use_id": "mcp_1", "is_error": False, "content": []},
                    {"type": "compaction", "content": "They met."},
                ]
            ),
            [
                {
                    "type": "server_tool_call",
                    "id": "mcp_1",
                    "name": "look",
                    "server_tool_call": {"type": "mcp", "server_name": "shelf", "input": {}},
                },
                {
                    "type": "server_tool_call_response",
                    "id": "mcp_1",
                    "server_tool_call_response": {"type": "mcp", "is_error": False, "content": []},
                },
                {"type": "compaction", "content": "They met."},
            ],
            id="anthropic-mcp",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
                    {"type": "code_interpreter_call", "id": "ci_1", "code": "1+2", "outputs": None},
                ]
            ),
            [
                {
                    "type": "server_tool_call",
                    "id": "ws_1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "status": "completed", "action": {"type": "search"}},
                },
                {
                    "type": "server_tool_call",
                    "id": "ci_1",
                    "name": "code_interpreter",
                    "server_tool_call": {"type": "code_interpreter", "code": "1+2", "outputs": None},
                },
            ],
            id="openai-server-tools",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "executable_code", "executable_code": "1+2", "language": 1, "id": "x_1"},
                    {
                        "type": "code_execution_result",
                        "code_execution_result": "3",
                        "outcome": 1,
                        "tool_call_id": "x_1",
                    },
                ]
            ),
            [
                {
                    "type": "server_tool_call",
                    "id": "x_1",
                    "name": "code_execution",
                    "server_tool_call": {"type": "code_execution", "executable_code": "1+2", "language": 1},
                },
                {
                    "type": "server_tool_call_response",
                    "id": "x_1",
                    "server_tool_call_response": {
                        "type": "code_execution",
                        "code_execution_result": "3",
                        "outcome": 1,
                    },
                },
            ],
            id="google-server-tools",
        ),
        pytest.param(
            AIMessage(
                [
                    {"type": "server_tool_call", "id": "srv_1", "name": "look", "args": {"x": 1}, "index": 0},
                    {"type": "server_tool_result", "tool_call_id": "srv_1", "status": "success", "output": 3},
                ]
            ),
            [
                {
                    "type": "server_tool_call",
                    "id": "srv_1",
                    "name": "look",
                    "server_tool_call": {"type": "look", "args": {"x": 1}},
                },
                {
                    "type": "server_tool_call_response",
                    "id": "srv_1",
                    "server_tool_call_response": {"type": "server", "status": "success", "output": 3},
                },
            ],
            id="standard-server-tools",
        ),
        pytest.param(
            HumanMessage([{"type": "text-plain", "text": "Hello", "mime_type": "text/plain"}]),
            [text("Hello")],
            id="plain-text-document",
        ),
        pytest.param(
            HumanMessage([{"type": "tool_result", "tool_use_id": "call_1", "content": "Rain"}]),
            [{"type": "tool_call_response", "id": "call_1", "response": "Rain"}],
            id="result-in-content",
        ),
        pytest.param(
            HumanMessage([{"cachePoint": {"type": "default"}, "ttl": "5m"}, {"type": 5}, {"type": "text"}]),
            [
                {"type": "unknown", "value": {"cachePoint": {"type": "default"}, "ttl": "5m"}},
                {"type": "unknown", "value": {"type": 5}},
            ],
            id="unknown",
        ),
    ],
)
def test_each_provider_s_blocks_become_parts(message, parts):
    """Text, thoughts and calls become the parts of the conventions, each once; other blocks stay as they are."""
    assert [found["parts"] for found in told(message)] == [parts]


def referred_to(data, modality, mime_type):
    """Return the part that refers to data."""
    digest = hashlib.sha256(data).hexdigest()
    return {
        "type": "uri",
        "modality": modality,
        "uri": f"sha256:{digest}",
        "size": len(data),
        "mime_type": mime_type,
    }


DATA = referred_to(b"\x89PN", "image", "image/png")
PDF = referred_to(b"%PD", "document", "application/pdf")
LINK = {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image", "url": "https://example.com/a.png"}, LINK),
        ({"type": "image", "base64": "iVBO", "mime_type": "image/png"}, DATA),
        (
            {"type": "image", "file_id": "file-1", "id": "lc_1"},
            {"type": "file", "modality": "image", "file_id": "file-1"},
        ),
        ({"type": "image", "source_type": "url", "url": "https://example.com/a.png"}, LINK),
        ({"type": "image", "source_type": "base64", "data": "iVBO", "mime_type": "image/png"}, DATA),
        (
            {"type": "file", "source_type": "id", "id": "file-1"},
            {"type": "file", "modality": "document", "file_id": "file-1"},
        ),
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, LINK),
        ({"type": "image_url", "image_url": "https://example.com/a.png"}, LINK),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}, DATA),
        ({"type": "input_image", "image_url": "data:image/png;base64,iVBO"}, DATA),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
            referred_to(b"RIF", "audio", "audio/wav"),
        ),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}, PDF),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}, DATA),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, LINK),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}, PDF),
        (
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "file", "modality": "document", "file_id": "file_1"},
        ),
        (
            {"type": "media", "mime_type": "video/mp4", "file_uri": "gs://bucket/a.mp4"},
            {"type": "uri", "modality": "video", "uri": "gs://bucket/a.mp4", "mime_type": "video/mp4"},
        ),
        (
            {"type": "media", "mime_type": "audio/wav", "data": b"RIFF"},
            referred_to(b"RIFF", "audio", "audio/wav"),
        ),
        (
            {"type": "image", "image": {"format": "png", "source": {"bytes": b"\x89PN"}}},
            DATA,
        ),
        (
            {"type": "document", "document": {"format": "pdf", "name": "a", "source": {"bytes": "JVBE"}}},
            PDF,
        ),
        (
            {"type": "text-plain", "url": "https://example.com/a.txt"},
            {"type": "uri", "modality": "document", "uri": "https://example.com/a.txt"},
        ),
        (
            {"type": "file", "data": [1]},
            {"type": "unknown", "value": {"type": "file", "data": [1]}},
        ),
        *(
            (odd, odd)
            for odd in (
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hello"}},
                {"type": "image_url", "image_url": "data:text/plain,hello"},
                {"type": "image"},
            )
        ),
    ],
)
def test_media_become_file_or_uri(block, part):
    """Media have one of two forms, data are referred to; a shape that is not known stays as it is."""
    assert told(HumanMessage([block])) == [{"role": "user", "parts": [part]}]


def test_prompts_are_user_text():
    """What a completion model is asked is what a user says."""
    assert input_prompts(["1 + 2 ="]) == {
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"1 + 2 ="}]}]'
    }


@pytest.mark.parametrize(
    ("generations", "answers"),
    [
        pytest.param(
            [
                ChatGeneration(message=AIMessage("a"), generation_info={"finish_reason": "stop"}),
                ChatGeneration(message=AIMessage("b")),
            ],
            [
                {"role": "assistant", "parts": [text("a")], "finish_reason": "stop"},
                {"role": "assistant", "parts": [text("b")], "finish_reason": "error"},
            ],
            id="two-choices",
        ),
        pytest.param(
            [Generation(text="a", generation_info={"finish_reason": "length"})],
            [{"role": "assistant", "parts": [text("a")], "finish_reason": "length"}],
            id="completion",
        ),
        pytest.param(
            [ChatGeneration(message=AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}]))],
            [
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": "1", "name": "look", "arguments": {}}],
                    "finish_reason": "tool_call",
                }
            ],
            id="tool",
        ),
        pytest.param(
            [GenerationChunk(text="")], [{"role": "assistant", "parts": [], "finish_reason": "stop"}], id="empty"
        ),
        pytest.param(
            [ChatGenerationChunk(message=AIMessageChunk("a", chunk_position="last"))],
            [{"role": "assistant", "parts": [text("a")], "finish_reason": "stop"}],
            id="whole-stream",
        ),
        pytest.param(
            [ChatGenerationChunk(message=AIMessageChunk("a"))],
            [{"role": "assistant", "parts": [text("a")], "finish_reason": "stop"}],
            id="whole-stream-without-a-mark",
        ),
        pytest.param([], [], id="none"),
    ],
)
def test_each_generation_is_a_message(generations, answers):
    """An answer has one message for each generation, with why it ended; where nobody knows, it did."""
    attributes = output_messages(LLMResult(generations=[generations]))
    assert {name: json.loads(found) for name, found in attributes.items()} == {"gen_ai.output.messages": answers}


def test_what_came_of_an_answer_ends_in_an_error():
    """What came before a stream was left, or broke off, ends in an error, unless a reason had come, too."""
    for reason, told in ((None, "error"), ("length", "length")):
        info = {"finish_reason": reason} if reason else None
        chunk = ChatGenerationChunk(message=AIMessageChunk("a"), generation_info=info)
        attributes = output_messages(LLMResult(generations=[[chunk]]), is_whole=False)
        (message,) = json.loads(attributes["gen_ai.output.messages"])
        assert message["finish_reason"] == told
