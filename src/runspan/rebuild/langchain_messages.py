"""Messages of spans as LangChain's messages.

Older instrumentations pass on OpenAI's chat completions; ``message_dict`` brings them into the form of the GenAI
conventions, from which all else here starts.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from runspan._guard import attempt
from runspan.payload import to_json
from runspan.payload.message_types import ContentBlock, MessageDict, MessagePart
from runspan.payload.text import text_in
from runspan.rebuild.span_data import as_text, dicts_in, structure_in

_MODEL_ROLES: Final = ("assistant", "ai", "model")
_TOOL_ROLES: Final = ("tool", "function")
_MODALITIES: Final = ("image", "audio", "video")
# For each type of media: the key that a part has for it, and the one of LangChain's block.
_MEDIA_KEYS: Final = {"blob": ("content", "base64"), "uri": ("uri", "url"), "file": ("file_id", "file_id")}
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


def message_dict(body: dict[str, Any], role: str) -> MessageDict:
    """Return a body with ``role``, ``content``, ``tool_calls`` and the like in the form of the conventions."""
    role = text_in(body.get("role")) or role
    if role in _TOOL_ROLES:
        call_id = body.get("tool_call_id") or body.get("id")
        parts = [{"type": "tool_call_response", "id": call_id, "response": body.get("content")}]
    else:
        parts = _parts_of_body(body.get("content")) + [_call_part(call) for call in dicts_in(body.get("tool_calls"))]
    kept = {key: body[key] for key in ("name", "finish_reason") if body.get(key)}
    return {"role": role, "parts": parts, **kept}


def langchain_messages(messages: Sequence[MessageDict]) -> list[BaseMessage]:
    """Return messages in their order; responses of tools within a message become messages of their own."""
    return [found for message in messages for found in attempt(_messages, message, default=[])]


def agent_state(messages: Sequence[MessageDict]) -> dict[str, Any]:
    """Return messages as agents of LangChain's take and return them; without any, nothing."""
    return {"messages": langchain_messages(messages)} if messages else {}


def ai_message(message: MessageDict, fields: Mapping[str, Any] = MappingProxyType({})) -> AIMessage:
    """Return the message of a model, with further fields of LangChain's message."""
    parts = _parts(message)
    calls, invalid_calls = split_calls(part for part in parts if part.get("type") == "tool_call")
    content = _content(part for part in parts if part.get("type") != "tool_call")
    return AIMessage(
        content, tool_calls=calls, invalid_tool_calls=invalid_calls, name=text_in(message.get("name")), **fields
    )


def text_of(message: MessageDict) -> str:
    """Return the text in a message."""
    return "".join(_text(part) or "" for part in _parts(message) if part.get("type") == "text")


def split_calls(calls: Iterable[MessagePart]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Return calls of tools, and apart from them those whose arguments are no JSON object."""
    valid: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for call in calls:
        name, call_id = text_in(call.get("name")) or "", text_in(call.get("id"))
        arguments = _arguments(call.get("arguments"))
        if isinstance(arguments, dict):
            valid.append(ToolCall(name=name, args=arguments, id=call_id, type="tool_call"))
        else:
            invalid.append(InvalidToolCall(name=name, args=arguments, id=call_id, error=None, type="invalid_tool_call"))
    return valid, invalid


def tool_message(response: object, call_id: str | None, name: str | None = None) -> ToolMessage:
    """Return the result of a tool as the message that goes to the model."""
    blocks = _blocks_in(response)
    content = as_text(response) if blocks is None else _content(blocks)
    return ToolMessage(content, tool_call_id=call_id or "", name=name)


def _messages(message: MessageDict) -> list[BaseMessage]:
    role, name = text_in(message.get("role")) or "user", text_in(message.get("name"))
    if role in _MODEL_ROLES:
        return [ai_message(message)]
    found: list[BaseMessage] = []
    for is_response, group in itertools.groupby(_parts(message), lambda part: part.get("type") == "tool_call_response"):
        if is_response:
            found.extend(tool_message(part.get("response"), text_in(part.get("id")), name) for part in group)
        else:
            found.append(_message(role, name, _content(group)))
    return found or [_message(role, name, "")]


def _message(role: str, name: str | None, content: str | list[str | ContentBlock]) -> BaseMessage:
    if role in ("user", "human"):
        return HumanMessage(content, name=name)
    if role == "system":
        return SystemMessage(content, name=name)
    if role == "developer":
        # LangChain's own way to keep this role of OpenAI's.
        return SystemMessage(content, name=name, additional_kwargs={"__openai_role__": role})
    if role in _TOOL_ROLES:
        return ToolMessage(content, tool_call_id="", name=name)
    return ChatMessage(content=content, role=role, name=name)


def _parts(message: MessageDict) -> list[MessagePart]:
    parts = message.get("parts")
    if not isinstance(parts, list):
        return []
    return [part if isinstance(part, dict) else {"type": "text", "content": part} for part in parts]


def _parts_of_body(content: object) -> list[Any]:
    if isinstance(content, str):
        return _blocks_in(content) or ([{"type": "text", "content": content}] if content else [])
    if isinstance(content, dict):
        return [content]
    return content if isinstance(content, list) else []


def _call_part(call: dict[str, Any]) -> MessagePart:
    function = call["function"] if isinstance(call.get("function"), dict) else call
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": function.get("name"),
        "arguments": function.get("arguments"),
    }


def _blocks_in(content: object) -> list[dict[str, Any]] | None:
    """Return a list of content blocks, also one written as JSON; None for other data, such as a tool may return."""
    blocks = structure_in(content)
    if not isinstance(blocks, list) or not blocks:
        return None
    are_blocks = all(isinstance(block, dict) and text_in(block.get("type")) in _BLOCK_TYPES for block in blocks)
    return blocks if are_blocks else None


def _content(parts: Iterable[MessagePart]) -> str | list[str | ContentBlock]:
    """Return content blocks, or just the text if there is nothing else."""
    blocks: list[str | ContentBlock] = [_block(part) for part in parts]
    match blocks:
        case []:
            return ""
        case [{"type": "text", "text": str(text)}]:
            return text
        case _:
            return blocks


def _block(part: MessagePart) -> ContentBlock:
    kind, text = text_in(part.get("type")), _text(part)
    if kind == "text" and text is not None:
        return {"type": "text", "text": text}
    if kind == "reasoning" and text is not None:
        return {"type": "reasoning", "reasoning": text}
    if kind in _MEDIA_KEYS and (media := _media_block(part)):
        return media
    # A type of part that is not known here stays as it is. LangChain can't read a block without a type, or a text block
    # without text.
    is_readable = kind is not None and kind != "text"
    return part if is_readable else {"type": "non_standard", "value": part}


def _text(part: MessagePart) -> str | None:
    text = part.get("content", part.get("text"))
    return text if isinstance(text, str) else None


def _media_block(part: MessagePart) -> ContentBlock | None:
    source, target = _MEDIA_KEYS[part["type"]]
    media = part.get(source)
    if not isinstance(media, str):
        return None
    modality = part.get("modality")
    block = {"type": modality if modality in _MODALITIES else "file", target: media}
    if mime_type := text_in(part.get("mime_type")):
        block["mime_type"] = mime_type
    return block


def _arguments(arguments: object) -> dict[str, Any] | str:
    """Return the arguments of a call, or the text that is no JSON object."""
    if isinstance(arguments, dict):
        return arguments
    if arguments is None or arguments == "":
        return {}
    if not isinstance(arguments, str):
        return to_json(arguments)
    parsed = structure_in(arguments)
    return parsed if isinstance(parsed, dict) else arguments
