"""Messages as OpenAI's chat completions have them, which older instrumentations pass on, in the conventions' form."""

from typing import Any, Final

from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from runspan.rebuild.dialects.base import Said
from runspan.rebuild.span_data import dicts_in, structure_in, text_in

_TOOL_ROLES: Final = ("tool", "function")
# What providers have beside LangChain's own types of blocks.
_PROVIDERS_BLOCK_TYPES: Final = (
    "document",
    "image_url",
    "input_audio",
    "input_file",
    "input_image",
    "input_text",
    "output_text",
    "redacted_thinking",
    "search_result",
    "thinking",
    "tool_result",
    "tool_use",
)
_BLOCK_TYPES: Final = KNOWN_BLOCK_TYPES.union(_PROVIDERS_BLOCK_TYPES)


def said(body: dict[str, Any], role: str) -> Said:
    """Return a body with ``role``, ``content``, ``tool_calls`` and the like in the form of the conventions."""
    role = text_in(body.get("role")) or role
    if role in _TOOL_ROLES:
        call_id = body.get("tool_call_id") or body.get("id")
        parts = [{"type": "tool_call_response", "id": call_id, "response": body.get("content")}]
    else:
        parts = _content(body.get("content")) + [_call(call) for call in dicts_in(body.get("tool_calls"))]
    kept = {key: body[key] for key in ("name", "finish_reason") if body.get(key)}
    return {"role": role, "parts": parts, **kept}


def blocks_in(content: object) -> list[dict[str, Any]] | None:
    """Return a list of content blocks, also one written as JSON; None for other data, such as a tool may return."""
    blocks = structure_in(content)
    if not isinstance(blocks, list) or not blocks:
        return None
    are_blocks = all(isinstance(block, dict) and text_in(block.get("type")) in _BLOCK_TYPES for block in blocks)
    return blocks if are_blocks else None


def _content(content: object) -> list[Any]:
    if isinstance(content, str):
        return blocks_in(content) or ([{"type": "text", "content": content}] if content else [])
    if isinstance(content, dict):
        return [content]
    return content if isinstance(content, list) else []


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"] if isinstance(call.get("function"), dict) else call
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": function.get("name"),
        "arguments": function.get("arguments"),
    }
