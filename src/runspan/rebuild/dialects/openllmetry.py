"""OpenLLMetry (Traceloop): ``traceloop.*`` beside the GenAI conventions, lists flattened into indexed names."""

from typing import Any, Final

from runspan.payload import Kind
from runspan.payload.message_types import MessageDict
from runspan.payload.text import text_in
from runspan.rebuild.dialects.base import AttributeNames, Dialect
from runspan.rebuild.langchain_messages import message_dict
from runspan.rebuild.span_data import SpanData, dicts_in, from_json, nested

_KINDS: Final = {"workflow": Kind.CHAIN, "task": Kind.CHAIN, "agent": Kind.CHAIN, "tool": Kind.TOOL}
_MODELS: Final = {"chat": Kind.CHAT, "completion": Kind.COMPLETION}

NAMES: Final = AttributeNames(
    chain_name=("traceloop.entity.name",),
    top_k=("llm.top_k",),
    frequency_penalty=("llm.frequency_penalty",),
    presence_penalty=("llm.presence_penalty",),
    stop=("llm.chat.stop_sequences",),
    stream=("llm.is_streaming",),
    finish_reasons=("llm.response.finish_reason", "llm.response.stop_reason"),
    total_tokens=("llm.usage.total_tokens", "gen_ai.usage.total_tokens"),
    cache_read=("gen_ai.usage.cache_read_input_tokens",),
    cache_creation=("gen_ai.usage.cache_creation_input_tokens",),
    tool_name=("traceloop.entity.name",),
)


def _kind(span: SpanData) -> Kind | None:
    kind = _MODELS.get(text_in(span.attributes.get("llm.request.type")) or "")
    return kind or _KINDS.get(text_in(span.attributes.get("traceloop.span.kind")) or "")


def _input_messages(span: SpanData) -> list[MessageDict]:
    found = dicts_in(nested(span, "gen_ai.prompt"))
    # Anthropic's completions have their prompt under the role alone.
    return [message_dict({"content": each.get("user"), **each}, "user") for each in found]


def _output_messages(span: SpanData) -> list[MessageDict]:
    """Return the choices; the thoughts of an Anthropic model stand in a choice of their own before the answer."""
    choices: list[MessageDict] = []
    thoughts: list[Any] = []
    for body in dicts_in(nested(span, "gen_ai.completion")):
        if body.get("role") == "thinking":
            thoughts.append({"type": "reasoning", "content": body.get("content")})
            continue
        choice = message_dict(body, "assistant")
        choices.append({**choice, "parts": thoughts + choice["parts"]})
        thoughts = []
    return [*choices, {"role": "assistant", "parts": thoughts}] if thoughts else choices


def _inputs(_: Kind, span: SpanData) -> Any:
    """Return the input of an entity: ``inputs`` of a LangChain run, or ``args`` and ``kwargs`` of a function."""
    found = from_json(span.attributes.get("traceloop.entity.input"))
    if not isinstance(found, dict):
        return found
    if "inputs" in found and "tags" in found:
        return found["inputs"] if found["inputs"] is not None else found.get("input_str")
    is_call = found.keys() == {"args", "kwargs"} and not found["args"] and isinstance(found["kwargs"], dict)
    return found["kwargs"] if is_call else found


def _outputs(kind: Kind, span: SpanData) -> Any:
    found = from_json(span.attributes.get("traceloop.entity.output"))
    name = "output" if kind is Kind.TOOL else "outputs"
    return found[name] if isinstance(found, dict) and found.keys() == {name, "kwargs"} else found


OPENLLMETRY: Final = Dialect(NAMES, _kind, _input_messages, _output_messages, _inputs, _outputs)
