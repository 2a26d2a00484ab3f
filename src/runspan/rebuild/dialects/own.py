"""Runspan's own spans, for recordings: what the conventions have no name for."""

from collections.abc import Callable
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue

from runspan import semconv
from runspan.payload import Kind
from runspan.payload.text import clean, text_in
from runspan.rebuild.dialects.base import AttributeNames, Dialect
from runspan.rebuild.dialects.conventions import CONVENTIONS
from runspan.rebuild.langchain_messages import agent_state, split_calls
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
    if kind not in _CHAINS:
        return None
    # At the top an agent has the text of the last message, too.
    messages = CONVENTIONS.input_messages(span)
    return agent_state(messages) if messages else _value(span, semconv.INPUTS, semconv.INPUTS_TYPE)


def _outputs(kind: Kind, span: SpanData) -> Any:
    if kind not in _CHAINS:
        return None
    if messages := CONVENTIONS.output_messages(span):
        return agent_state(messages)
    found = _value(span, semconv.OUTPUTS, semconv.OUTPUTS_TYPE)
    return _prompt_value(found) if kind is Kind.PROMPT and isinstance(found, dict) else found


def _value(span: SpanData, name: str, type_name: str) -> Any:
    found = span.attributes.get(name)
    if isinstance(found, str) and span.attributes.get(type_name) == "text/plain":
        return clean(found)
    return _with_messages(from_json(found))


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
