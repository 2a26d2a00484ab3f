"""Tools that the provider itself runs: their calls and results, as blocks in a message."""

from collections.abc import Callable
from typing import Final

from runspan.payload.beside import arguments
from runspan.payload.message_types import ContentBlock, MessagePart
from runspan.payload.stored import stored_pairs
from runspan.payload.text import text_at

_STREAMED_INPUT: Final = "partial_json"
# Keys of a call or a result that are not its content.
_ENVELOPE: Final = ("type", "id", "name", "tool_use_id", "tool_call_id", "call_id", "index", "caller")


def _server_call(block: ContentBlock) -> MessagePart:
    kind = block["type"].removesuffix("_call").removesuffix("_tool_use")
    name = text_at(block, "name") or kind
    # Of ``server_tool_use`` (Anthropic) and ``server_tool_call`` (LangChain) the name is the type of the tool.
    call = {"type": name if kind.startswith("server") else kind, **_with_input(_content(block))}
    return _part("server_tool_call", text_at(block, "id"), {"name": name, "server_tool_call": call})


def _with_input(content: MessagePart) -> MessagePart:
    """Return a call with what it is given, which is beside an empty input where it was streamed (Anthropic)."""
    streamed = text_at(content, _STREAMED_INPUT)
    if streamed is None or content.get("input"):
        return content
    return {key: value for key, value in content.items() if key != _STREAMED_INPUT} | {"input": arguments(streamed)}


def _server_result(block: ContentBlock) -> MessagePart:
    kind = block["type"].removesuffix("_tool_result").removesuffix("_result")
    response = {"type": kind, **_content(block)}
    call_id = text_at(block, "tool_use_id", "tool_call_id", "call_id", "id")
    return _part("server_tool_call_response", call_id, {"server_tool_call_response": response})


def _code_call(block: ContentBlock) -> MessagePart:
    call = {"type": "code_execution", **_content(block)}
    return _part("server_tool_call", text_at(block, "id"), {"name": "code_execution", "server_tool_call": call})


def _content(block: ContentBlock) -> MessagePart:
    return {key: value for key, value in stored_pairs(block) or () if key not in _ENVELOPE}


def _part(kind: str, call_id: str | None, fields: MessagePart) -> MessagePart:
    return {"type": kind, **({"id": call_id} if call_id else {}), **fields}


SERVER_PARTS: Final[dict[str, Callable[[ContentBlock], MessagePart]]] = {
    # Anthropic's, LangChain's, OpenAI's (a call there holds its result), Google's.
    **dict.fromkeys(("server_tool_use", "mcp_tool_use", "server_tool_call"), _server_call),
    **dict.fromkeys(
        (
            "code_interpreter_call",
            "computer_call",
            "file_search_call",
            "image_generation_call",
            "local_shell_call",
            "mcp_call",
            "web_search_call",
        ),
        _server_call,
    ),
    "executable_code": _code_call,
    **dict.fromkeys(
        (
            "bash_code_execution_tool_result",
            "code_execution_result",
            "code_execution_tool_result",
            "mcp_tool_result",
            "server_tool_result",
            "text_editor_code_execution_tool_result",
            "tool_search_tool_result",
            "web_fetch_tool_result",
            "web_search_tool_result",
        ),
        _server_result,
    ),
}
