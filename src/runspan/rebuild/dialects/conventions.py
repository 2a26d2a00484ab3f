"""The GenAI conventions of OpenTelemetry as of autumn 2026, and what the Anthropic SDK adds to them."""

from typing import Any, Final

from runspan import semconv
from runspan.payload import Kind
from runspan.payload.message_types import MessageDict
from runspan.payload.text import text_in
from runspan.rebuild.dialects.base import AttributeNames, Dialect
from runspan.rebuild.langchain_messages import message_dict
from runspan.rebuild.span_data import SpanData, dicts_in, from_json, structure_in, value

_KINDS: Final = {
    "chat": Kind.CHAT,
    "generate_content": Kind.CHAT,
    "text_completion": Kind.COMPLETION,
    "execute_tool": Kind.TOOL,
    "retrieval": Kind.RETRIEVER,
    # create_agent and fetch_response run nothing; embeddings and memories have no callbacks.
    "invoke_agent": Kind.CHAIN,
    "invoke_workflow": Kind.CHAIN,
    "plan": Kind.CHAIN,
}


NAMES: Final = AttributeNames(
    chain_name=("gen_ai.agent.name", "gen_ai.workflow.name"),
    thread_id=("gen_ai.conversation.id",),
    user_id=("user.id",),
    provider=(semconv.PROVIDER,),
    request_model=(semconv.REQUEST_MODEL,),
    temperature=("gen_ai.request.temperature",),
    max_tokens=("gen_ai.request.max_tokens",),
    top_p=("gen_ai.request.top_p",),
    top_k=("gen_ai.request.top_k",),
    frequency_penalty=("gen_ai.request.frequency_penalty",),
    presence_penalty=("gen_ai.request.presence_penalty",),
    seed=("gen_ai.request.seed",),
    choices=("gen_ai.request.choice.count",),
    stop=("gen_ai.request.stop_sequences",),
    stream=(semconv.REQUEST_STREAM,),
    tools=("gen_ai.tool.definitions",),
    response_id=(semconv.RESPONSE_ID,),
    response_model=(semconv.RESPONSE_MODEL,),
    finish_reasons=(semconv.FINISH_REASONS, "anthropic.message.stop_reason"),
    input_tokens=(semconv.INPUT_TOKENS,),
    output_tokens=(semconv.OUTPUT_TOKENS,),
    cache_read=(semconv.CACHE_READ_TOKENS,),
    cache_creation=(semconv.CACHE_WRITE_TOKENS, semconv.CACHE_CREATION_TOKENS),
    reasoning=(semconv.REASONING_TOKENS,),
    tool_name=(semconv.TOOL_NAME,),
    tool_description=(semconv.TOOL_DESCRIPTION,),
    tool_call_id=(semconv.TOOL_CALL_ID,),
    error_type=(semconv.ERROR_TYPE,),
)


def _kind(span: SpanData) -> Kind | None:
    return _KINDS.get(text_in(span.attributes.get(semconv.OPERATION)) or "")


def _input_messages(span: SpanData) -> list[MessageDict]:
    instructions = _parts(structure_in(span.attributes.get(semconv.SYSTEM_INSTRUCTIONS)))
    system = [{"role": "system", "parts": instructions}] if instructions else []
    return system + _messages(span, semconv.INPUT_MESSAGES, "user")


def _output_messages(span: SpanData) -> list[MessageDict]:
    return _messages(span, semconv.OUTPUT_MESSAGES, "assistant")


def _parts(instructions: Any) -> list[Any]:
    if isinstance(instructions, str):
        return [{"type": "text", "content": instructions}] if instructions else []
    return dicts_in([instructions] if isinstance(instructions, dict) else instructions)


def _messages(span: SpanData, name: str, role: str) -> list[MessageDict]:
    found = structure_in(span.attributes.get(name))
    if isinstance(found, str):
        return [message_dict({"content": found}, role)] if found else []
    found = dicts_in([found] if isinstance(found, dict) else found)
    return [
        {"role": role, **each} if isinstance(each.get("parts"), list) else message_dict(each, role) for each in found
    ]


def _inputs(kind: Kind, span: SpanData) -> Any:
    if kind is Kind.TOOL:
        return value(span, (semconv.TOOL_ARGUMENTS,))
    if kind is Kind.RETRIEVER:
        return value(span, (semconv.QUERY,))
    return None


def _outputs(kind: Kind, span: SpanData) -> Any:
    if kind is Kind.TOOL:
        return value(span, (semconv.TOOL_RESULT, "anthropic.tool_result.content"))
    if kind is Kind.RETRIEVER:
        return from_json(span.attributes.get(semconv.DOCUMENTS))
    return None


CONVENTIONS: Final = Dialect(NAMES, _kind, _input_messages, _output_messages, _inputs, _outputs)
