"""The GenAI conventions before 1.37: other names, and messages in events of the span.

A body stands in the event's attributes, or as JSON in its attribute ``gen_ai.event.content`` (Azure's SDKs).
Before 1.28 all messages stood in two events, and before that in two attributes.
"""

from typing import Any, Final

from runspan.attributes import Attributes
from runspan.payload.message_types import MessageDict
from runspan.rebuild.dialects.base import AttributeNames, Dialect
from runspan.rebuild.langchain_messages import message_dict
from runspan.rebuild.span_data import SpanData, dicts_in, plain, structure_in

NAMES: Final = AttributeNames(
    provider=("gen_ai.system",),
    input_tokens=("gen_ai.usage.prompt_tokens",),
    output_tokens=("gen_ai.usage.completion_tokens",),
)

_ROLES: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE: Final = "gen_ai.choice"
_PROMPT: Final = "gen_ai.prompt"
_COMPLETION: Final = "gen_ai.completion"


def _input_messages(span: SpanData) -> list[MessageDict]:
    one_each = [message_dict(_body(event), _ROLES[name]) for name, event in span.events if name in _ROLES]
    return one_each or _in_one_value(span, "gen_ai.content.prompt", _PROMPT, "user")


def _output_messages(span: SpanData) -> list[MessageDict]:
    one_each = [_choice(_body(event)) for name, event in span.events if name == _CHOICE]
    return one_each or _in_one_value(span, "gen_ai.content.completion", _COMPLETION, "assistant")


def _body(event: Attributes) -> dict[str, Any]:
    body = structure_in(event.get("gen_ai.event.content"))
    if isinstance(body, str):
        return {"content": body}
    if not isinstance(body, dict):
        body = plain(event)
    return {**body, "tool_calls": structure_in(body.get("tool_calls"))}


def _choice(body: dict[str, Any]) -> MessageDict:
    """Return a choice: its message stands in it, the calls of tools in the message or beside it."""
    message = structure_in(body.get("message"))
    inner = message if isinstance(message, dict) else {"content": message}
    calls = structure_in(inner.get("tool_calls")) or body.get("tool_calls")
    return message_dict({**inner, "tool_calls": calls, "finish_reason": body.get("finish_reason")}, "assistant")


def _in_one_value(span: SpanData, event_name: str, name: str, role: str) -> list[MessageDict]:
    sources = [*(event for each, event in span.events if each == event_name), span.attributes]
    for source in sources:
        found = structure_in(source.get(name))
        if isinstance(found, str) and found:
            return [message_dict({"content": found}, role)]
        if bodies := dicts_in([found] if isinstance(found, dict) else found):
            return [message_dict(body, role) for body in bodies]
    return []


LEGACY: Final = Dialect(NAMES, input_messages=_input_messages, output_messages=_output_messages)
