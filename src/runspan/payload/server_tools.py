"""Tools that the provider itself runs: their calls and results, as blocks in a message."""

from collections.abc import Callable
from typing import Any, Final

from runspan.payload.stored import stored_pairs
from runspan.payload.text import text_at

_Block = dict[Any, Any]
_Part = dict[str, Any]

# What a call or result is apart from its content.
_AROUND: Final = ("type", "id", "name", "tool_use_id", "tool_call_id", "call_id", "index", "caller")


def _call(block: _Block) -> _Part:
    kind = block["type"].removesuffix("_call").removesuffix("_tool_use")
    name = text_at(block, "name") or kind
    # ``server_tool_use`` is Anthropic's, ``server_tool_call`` LangChain's own word: the name is the type of the tool.
    said = name if kind.startswith("server") else kind
    told = {"type": said, **_content(block)}
    return _part("server_tool_call", text_at(block, "id"), {"name": name, "server_tool_call": told})


def _result(block: _Block) -> _Part:
    kind = block["type"].removesuffix("_tool_result").removesuffix("_result")
    told = {"type": kind, **_content(block)}
    call_id = text_at(block, "tool_use_id", "tool_call_id", "call_id", "id")
    return _part("server_tool_call_response", call_id, {"server_tool_call_response": told})


def _code(block: _Block) -> _Part:
    told = {"type": "code_execution", **_content(block)}
    fields = {"name": "code_execution", "server_tool_call": told}
    return _part("server_tool_call", text_at(block, "id"), fields)


def _content(block: _Block) -> _Part:
    return {key: value for key, value in stored_pairs(block) or () if key not in _AROUND}


def _part(kind: str, call_id: str | None, fields: _Part) -> _Part:
    return {"type": kind, **({"id": call_id} if call_id else {}), **fields}


SERVER_PARTS: Final[dict[str, Callable[[_Block], _Part]]] = {
    # Anthropic's, LangChain's, OpenAI's (a call there holds its result), Google's.
    **dict.fromkeys(("server_tool_use", "mcp_tool_use", "server_tool_call"), _call),
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
        _call,
    ),
    "executable_code": _code,
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
        _result,
    ),
}
