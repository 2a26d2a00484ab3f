"""Messages of the GenAI conventions as messages of LangChain's."""

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

from runspan._guard import attempt
from runspan.payload import to_json
from runspan.rebuild.bodies import blocks_in
from runspan.rebuild.dialects.base import Said
from runspan.rebuild.span_data import as_text, structure_in, text_in

_Block = dict[str, Any]

_MODEL_ROLES: Final = ("assistant", "ai", "model")
_TOOL_ROLES: Final = ("tool", "function")
_MODALITIES: Final = ("image", "audio", "video")
_PLACES: Final = {"blob": ("content", "base64"), "uri": ("uri", "url"), "file": ("file_id", "file_id")}


def messages(said: Sequence[Said]) -> list[BaseMessage]:
    """Return messages in their order; responses of tools within a message become messages of their own."""
    return [message for each in said for message in attempt(_messages, each, default=[])]


def state(said: Sequence[Said]) -> dict[str, Any]:
    """Return messages as agents of LangChain's take and return them; without any, nothing."""
    return {"messages": messages(said)} if said else {}


def answer(said: Said, fields: Mapping[str, Any] = MappingProxyType({})) -> AIMessage:
    """Return what a model said, with further fields of the message."""
    parts = _parts(said)
    calls, invalid_calls = split_calls(part for part in parts if part.get("type") == "tool_call")
    content = _content(part for part in parts if part.get("type") != "tool_call")
    return AIMessage(
        content, tool_calls=calls, invalid_tool_calls=invalid_calls, name=text_in(said.get("name")), **fields
    )


def text_of(said: Said) -> str:
    """Return the text in a message."""
    return "".join(_text(part) or "" for part in _parts(said) if part.get("type") == "text")


def split_calls(calls: Iterable[_Block]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
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
    """Return what a tool returned as the message that goes to the model."""
    return ToolMessage(_response(response), tool_call_id=call_id or "", name=name)


def _messages(said: Said) -> list[BaseMessage]:
    role, name = text_in(said.get("role")) or "user", text_in(said.get("name"))
    if role in _MODEL_ROLES:
        return [answer(said)]
    found: list[BaseMessage] = []
    for is_response, group in itertools.groupby(_parts(said), lambda part: part.get("type") == "tool_call_response"):
        if is_response:
            found += [tool_message(part.get("response"), text_in(part.get("id")), name) for part in group]
        else:
            found.append(_message(role, name, _content(group)))
    return found or [_message(role, name, "")]


def _message(role: str, name: str | None, content: str | list[str | _Block]) -> BaseMessage:
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


def _parts(said: Said) -> list[_Block]:
    parts = said.get("parts")
    if not isinstance(parts, list):
        return []
    return [part if isinstance(part, dict) else {"type": "text", "content": part} for part in parts]


def _content(parts: Iterable[_Block]) -> str | list[str | _Block]:
    """Return content blocks, or just the text if there is nothing else."""
    blocks: list[str | _Block] = [_block(part) for part in parts]
    match blocks:
        case []:
            return ""
        case [{"type": "text", "text": str(text)}]:
            return text
        case _:
            return blocks


def _block(part: _Block) -> _Block:
    kind, text = text_in(part.get("type")), _text(part)
    if kind == "text" and text is not None:
        return {"type": "text", "text": text}
    if kind == "reasoning" and text is not None:
        return {"type": "reasoning", "reasoning": text}
    if kind in _PLACES and (media := _media(part)):
        return media
    # What is new stays as it is. LangChain can't read a block without a type, or a text that is none.
    is_readable = kind is not None and kind != "text"
    return part if is_readable else {"type": "non_standard", "value": part}


def _text(part: _Block) -> str | None:
    text = part.get("content", part.get("text"))
    return text if isinstance(text, str) else None


def _media(part: _Block) -> _Block | None:
    source, target = _PLACES[part["type"]]
    place = part.get(source)
    if not isinstance(place, str):
        return None
    modality = part.get("modality")
    block = {"type": modality if modality in _MODALITIES else "file", target: place}
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


def _response(response: object) -> str | list[str | _Block]:
    blocks = blocks_in(response)
    return as_text(response) if blocks is None else _content(blocks)
