"""Runspan's own spans, for recordings: what the conventions have no name for."""

from collections.abc import Callable
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue

from runspan import semconv
from runspan.payload import Kind
from runspan.payload.text import text_in
from runspan.rebuild.dialects.base import AttributeNames, Dialect
from runspan.rebuild.langchain_messages import split_calls
from runspan.rebuild.span_data import SpanData, dicts_in, from_json

# Agents and graphs are chains to callback handlers.
_KINDS: Final = {str(kind): kind for kind in Kind} | {str(Kind.AGENT): Kind.CHAIN, str(Kind.GRAPH): Kind.CHAIN}
_CHAINS: Final = (Kind.CHAIN, Kind.PROMPT, Kind.PARSER)

NAMES: Final = AttributeNames(
    run_name=(semconv.RUN_NAME,),
    tags=(semconv.TAGS,),
    graph_node=(semconv.GRAPH_NODE,),
    graph_step=(semconv.GRAPH_STEP,),
)

_FIELDS: Final = frozenset(AIMessage.model_fields) | frozenset(ToolMessage.model_fields)


def _kind(span: SpanData) -> Kind | None:
    return _KINDS.get(text_in(span.attributes.get(semconv.RUN_TYPE)) or "")


def _inputs(kind: Kind, span: SpanData) -> Any:
    return _with_messages(from_json(span.attributes.get(semconv.INPUTS))) if kind in _CHAINS else None


def _outputs(kind: Kind, span: SpanData) -> Any:
    found = _with_messages(from_json(span.attributes.get(semconv.OUTPUTS))) if kind in _CHAINS else None
    return _prompt_value(found) if kind is Kind.PROMPT and isinstance(found, dict) else found


def _with_messages(value: Any) -> Any:
    """Return a value in which messages are objects again, with what JSON kept of them."""
    if isinstance(value, list):
        return [_with_messages(item) for item in value]
    if not isinstance(value, dict):
        return value
    return _message(value) or {key: _with_messages(item) for key, item in value.items()}


def _message(fields: dict[str, Any]) -> BaseMessage | None:
    make = _MAKERS.get(text_in(fields.get("type")) or "")
    is_content = isinstance(fields.get("content"), str) or _are_blocks(fields.get("content"))
    if make is None or not is_content or not fields.keys() <= _FIELDS:
        return None
    message = make(fields)
    message.name, message.id = text_in(fields.get("name")), text_in(fields.get("id"))
    return message


def _are_blocks(content: object) -> bool:
    return isinstance(content, list) and all(
        isinstance(block, str) or (isinstance(block, dict) and isinstance(block.get("type"), str)) for block in content
    )


def _assistant(fields: dict[str, Any]) -> BaseMessage:
    calls, invalid_calls = split_calls(
        {**call, "arguments": call.get("args")} for call in dicts_in(fields.get("tool_calls"))
    )
    return AIMessage(fields["content"], tool_calls=calls, invalid_tool_calls=invalid_calls)


def _tool(fields: dict[str, Any]) -> BaseMessage:
    return ToolMessage(fields["content"], tool_call_id=text_in(fields.get("tool_call_id")) or "")


_MAKERS: Final[dict[str, Callable[[dict[str, Any]], BaseMessage]]] = {
    "human": lambda fields: HumanMessage(fields["content"]),
    "HumanMessageChunk": lambda fields: HumanMessage(fields["content"]),
    "system": lambda fields: SystemMessage(fields["content"]),
    "SystemMessageChunk": lambda fields: SystemMessage(fields["content"]),
    "ai": _assistant,
    "AIMessageChunk": _assistant,
    "tool": _tool,
    "ToolMessageChunk": _tool,
}


def _prompt_value(outputs: dict[str, Any]) -> object:
    """Return what a prompt template made as the object that it made."""
    found = outputs.get("messages")
    if isinstance(found, list) and all(isinstance(message, BaseMessage) for message in found):
        return ChatPromptValue(messages=found)
    text = outputs.get("text")
    return StringPromptValue(text=text) if isinstance(text, str) else outputs


OWN: Final = Dialect(NAMES, _kind, inputs=_inputs, outputs=_outputs)
