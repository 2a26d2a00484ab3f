"""OpenInference (Arize): names of its semantic conventions, lists flattened into indexed names.

``tool.parameters`` is left out: by the specification it describes the parameters, but some instrumentations put the
arguments there. So is a raw request or response in JSON on a model's span, whose form is the provider's.
"""

from typing import Any, Final

from runspan.payload import Kind
from runspan.rebuild.bodies import said
from runspan.rebuild.dialects.base import Dialect, Said, Words
from runspan.rebuild.span_data import SpanData, at, dicts_in, from_json, text_in, tree, value

_KIND: Final = "openinference.span.kind"
_KINDS: Final = {
    "LLM": Kind.CHAT,
    "CHAIN": Kind.CHAIN,
    "AGENT": Kind.CHAIN,
    "TOOL": Kind.TOOL,
    "RETRIEVER": Kind.RETRIEVER,
    "PROMPT": Kind.PROMPT,
}

WORDS: Final = Words(
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


def _kind(told: SpanData) -> Kind | None:
    return _KINDS.get(text_in(told.attributes.get(_KIND)) or "")


def _asked(told: SpanData) -> list[Said]:
    return _messages(told, "llm.input_messages", "user") or _plain_text(told, "input", "user")


def _answered(told: SpanData) -> list[Said]:
    return _messages(told, "llm.output_messages", "assistant") or _plain_text(told, "output", "assistant")


def _messages(told: SpanData, prefix: str, role: str) -> list[Said]:
    found = (at(each, "message") for each in dicts_in(tree(told, prefix)))
    return [said(_body(message), role) for message in found if isinstance(message, dict)]


def _plain_text(told: SpanData, side: str, role: str) -> list[Said]:
    content = _value(told, side) if told.attributes.get(_KIND) == "LLM" else None
    is_text = isinstance(content, str) and told.attributes.get(f"{side}.mime_type") != "application/json"
    return [said({"content": content}, role)] if is_text and content else []


def _body(message: dict[str, Any]) -> dict[str, Any]:
    calls = [_call(call) for call in dicts_in(message.get("tool_calls"))]
    if name := message.get("function_call_name"):
        calls.append({"name": name, "arguments": message.get("function_call_arguments_json")})
    parts = [_part(part) for part in dicts_in(message.get("contents"))]
    return {**message, "content": parts or message.get("content"), "tool_calls": calls}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    return {"id": at(call, "tool_call", "id"), "function": at(call, "tool_call", "function")}


def _part(item: dict[str, Any]) -> dict[str, Any]:
    part = at(item, "message_content")
    if not isinstance(part, dict):
        return item
    kind = text_in(part.get("type")) or "text"
    if kind == "reasoning":
        return {"type": kind, "content": part.get("text")}
    # The names of the leaves repeat the type: message_content.image.image.url.
    if isinstance(url := at(part, kind, kind, "url"), str):
        return {"type": "uri", "modality": kind, "uri": url, "mime_type": at(part, kind, kind, "mime_type")}
    return {**part, "type": kind}


def _given(_: Kind, told: SpanData) -> Any:
    return _value(told, "input")


def _returned(kind: Kind, told: SpanData) -> Any:
    if kind is not Kind.RETRIEVER:
        return _value(told, "output")
    found = (at(each, "document") for each in dicts_in(tree(told, "retrieval.documents")))
    documents = [{**each, "metadata": from_json(each.get("metadata"))} for each in found if isinstance(each, dict)]
    return documents or None


def _value(told: SpanData, side: str) -> Any:
    found = value(told, (f"{side}.value",))
    return from_json(found) if told.attributes.get(f"{side}.mime_type") == "application/json" else found


OPENINFERENCE: Final = Dialect(WORDS, _kind, _asked, _answered, _given, _returned)
