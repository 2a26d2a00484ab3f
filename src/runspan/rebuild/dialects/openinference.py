"""OpenInference (Arize): names of its semantic conventions, lists flattened into indexed names.

``tool.parameters`` is left out: by the specification it describes the parameters, but some instrumentations put the
arguments there. So is a raw request or response in JSON on a model's span, whose form is the provider's.
"""

from typing import Any, Final

from runspan.payload import Kind
from runspan.payload.message_types import MessageDict
from runspan.payload.text import text_in
from runspan.rebuild.dialects.base import AttributeNames, Dialect
from runspan.rebuild.langchain_messages import message_dict
from runspan.rebuild.span_data import SpanData, dicts_in, from_json, nested, value, value_at

_KIND: Final = "openinference.span.kind"
_KINDS: Final = {
    "LLM": Kind.CHAT,
    "CHAIN": Kind.CHAIN,
    "AGENT": Kind.CHAIN,
    "TOOL": Kind.TOOL,
    "RETRIEVER": Kind.RETRIEVER,
    "PROMPT": Kind.PROMPT,
}

NAMES: Final = AttributeNames(
    chain_name=("agent.name",),
    tags=("tag.tags",),
    metadata=("metadata",),
    session_id=("session.id",),
    provider=("llm.provider", "llm.system"),
    request_model=("llm.request.model_name", "llm.model_name"),
    parameters=("llm.invocation_parameters",),
    response_model=("llm.response.model_name", "llm.model_name"),
    finish_reasons=("llm.finish_reason",),
    input_tokens=("llm.token_count.prompt",),
    output_tokens=("llm.token_count.completion",),
    total_tokens=("llm.token_count.total",),
    cache_read=("llm.token_count.prompt_details.cache_read",),
    cache_creation=("llm.token_count.prompt_details.cache_write",),
    reasoning=("llm.token_count.completion_details.reasoning",),
    tool_name=("tool.name",),
    tool_description=("tool.description",),
    tool_call_id=("tool.id",),
)


def _kind(span: SpanData) -> Kind | None:
    return _KINDS.get(text_in(span.attributes.get(_KIND)) or "")


def _input_messages(span: SpanData) -> list[MessageDict]:
    return _messages(span, "llm.input_messages", "user") or _plain_text(span, "input", "user")


def _output_messages(span: SpanData) -> list[MessageDict]:
    return _messages(span, "llm.output_messages", "assistant") or _plain_text(span, "output", "assistant")


def _messages(span: SpanData, prefix: str, role: str) -> list[MessageDict]:
    found = (value_at(each, "message") for each in dicts_in(nested(span, prefix)))
    return [message_dict(_body(message), role) for message in found if isinstance(message, dict)]


def _plain_text(span: SpanData, side: str, role: str) -> list[MessageDict]:
    content = _value(span, side) if span.attributes.get(_KIND) == "LLM" else None
    is_text = isinstance(content, str) and span.attributes.get(f"{side}.mime_type") != "application/json"
    return [message_dict({"content": content}, role)] if is_text and content else []


def _body(message: dict[str, Any]) -> dict[str, Any]:
    calls = [_call(call) for call in dicts_in(message.get("tool_calls"))]
    if name := message.get("function_call_name"):
        calls.append({"name": name, "arguments": message.get("function_call_arguments_json")})
    parts = [_part(part) for part in dicts_in(message.get("contents"))]
    return {**message, "content": parts or message.get("content"), "tool_calls": calls}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    return {"id": value_at(call, "tool_call", "id"), "function": value_at(call, "tool_call", "function")}


def _part(item: dict[str, Any]) -> dict[str, Any]:
    part = value_at(item, "message_content")
    if not isinstance(part, dict):
        return item
    kind = text_in(part.get("type")) or "text"
    if kind == "reasoning":
        return {"type": kind, "content": part.get("text")}
    # The names of the leaves repeat the type: message_content.image.image.url.
    if isinstance(url := value_at(part, kind, kind, "url"), str):
        return {"type": "uri", "modality": kind, "uri": url, "mime_type": value_at(part, kind, kind, "mime_type")}
    return {**part, "type": kind}


def _inputs(_: Kind, span: SpanData) -> Any:
    return _value(span, "input")


def _outputs(kind: Kind, span: SpanData) -> Any:
    if kind is not Kind.RETRIEVER:
        return _value(span, "output")
    found = (value_at(each, "document") for each in dicts_in(nested(span, "retrieval.documents")))
    documents = [{**each, "metadata": from_json(each.get("metadata"))} for each in found if isinstance(each, dict)]
    return documents or None


def _value(span: SpanData, side: str) -> Any:
    found = value(span, (f"{side}.value",))
    return from_json(found) if span.attributes.get(f"{side}.mime_type") == "application/json" else found


OPENINFERENCE: Final = Dialect(NAMES, _kind, _input_messages, _output_messages, _inputs, _outputs)
