"""The tokens that a call used: totals, and the parts of them.

A part is recorded only together with the total that it is a part of, and only if all parts of one kind fit into it. A
zero is recorded of the output alone; elsewhere it stands for what was not counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage

from runspan import semconv
from runspan.attributes import PlainAttributes, is_count
from runspan.payload.stored import stored_pairs

_Counts = Mapping[str, Any]

INPUT_MODALITIES: Final = {
    "text": semconv.TEXT_INPUT_TOKENS,
    "image": semconv.IMAGE_INPUT_TOKENS,
    "audio": semconv.AUDIO_INPUT_TOKENS,
    "video": semconv.VIDEO_INPUT_TOKENS,
}
OUTPUT_MODALITIES: Final = {
    "text": semconv.TEXT_OUTPUT_TOKENS,
    "image": semconv.IMAGE_OUTPUT_TOKENS,
    "audio": semconv.AUDIO_OUTPUT_TOKENS,
    "video": semconv.VIDEO_OUTPUT_TOKENS,
}
_NOTHING: Final[_Counts] = {}
_USAGE_KEYS: Final = ("token_usage", "usage", "usage_metadata", "token_count", "amazon-bedrock-invocationMetrics")
_OLLAMAS: Final = "eval_count"
_COUNTED: Final = frozenset((*_USAGE_KEYS, _OLLAMAS))
_PARTS: Final = ("input_token_details", "output_token_details")


def usage(message: AIMessage | None, *sources: _Counts | None) -> PlainAttributes:
    """Return the counts of a message, which LangChain has made to include cached tokens; else the provider's own.

    Args:
        message: a chat model's answer.
        sources: where packages put counts beside the message: ``llm_output``, ``generation_info``.
    """
    beside = _beside(*sources, message.response_metadata if message is not None else None)
    if message is None or not message.usage_metadata:
        return _attributes(beside)
    return _attributes(_with_parts(message.usage_metadata, beside))


def is_from_cache(message: AIMessage) -> bool:
    """Return whether LangChain took an answer from its own cache, and nothing was used: it adds costs of zero."""
    counted = message.usage_metadata
    return isinstance(counted, dict) and type(cost := counted.get("total_cost")) is int and cost == 0


def repeated_usage(chunks: Sequence[object]) -> PlainAttributes:
    """Return the counts of a stream in which each chunk has those of all so far, which LangChain adds up.

    vLLM and others send them so. The chunks name the same input then, and no smaller output each time; nothing is
    returned if they don't.
    """
    found = [counted for chunk in chunks if (counted := _counted(chunk))]
    inputs = {_count(each, "input_tokens") for each in found}
    outputs = [_count(each, "output_tokens") for each in found]
    if len(found) < 2 or len(inputs) > 1 or 0 in inputs or outputs != sorted(outputs):  # noqa: PLR2004  some repeat
        return {}
    return _attributes(found[-1])


def _counted(chunk: object) -> _Counts | None:
    message = getattr(chunk, "message", None)
    counted = message.usage_metadata if isinstance(message, AIMessage) else None
    return counted if isinstance(counted, dict) else None


def _beside(*sources: _Counts | None) -> _Counts:
    """Return the first counts that a package passes on from its provider, as LangChain names them."""
    for source in sources:
        if not isinstance(source, dict) or dict.keys(source).isdisjoint(_COUNTED):
            continue
        found = next((raw for name in _USAGE_KEYS if isinstance(raw := source.get(name), dict) and raw), None)
        if found is not None:
            return _standard(found) if found.keys().isdisjoint(_PARTS) else found
        if _OLLAMAS in source:
            return _standard(source)  # Ollama's stand among the rest
    return _NOTHING


def _with_parts(counted: _Counts, beside: _Counts) -> _Counts:
    """Add the parts that a package did not read, such as Mistral's cached tokens, if the totals are the same."""
    if not beside or any(counted.get(name) != beside.get(name) for name in ("input_tokens", "output_tokens")):
        return counted
    parts = {name: beside[name] for name in _PARTS if name in beside and not counted.get(name)}
    return {**counted, **parts} if parts else counted


def _attributes(counts: _Counts) -> PlainAttributes:
    input_details, output_details = _details(counts, "input_token_details"), _details(counts, "output_token_details")
    thoughts = _detail(output_details, "reasoning") if output_details else 0
    input_tokens, output_tokens = _count(counts, "input_tokens"), _count(counts, "output_tokens")
    if thoughts and _count(counts, "total_tokens") == input_tokens + output_tokens + thoughts:
        output_tokens += thoughts  # Vertex AI counts thoughts beside the output
    attributes: PlainAttributes = {}
    if input_tokens:
        attributes[semconv.INPUT_TOKENS] = input_tokens
    if output_tokens or (input_tokens and _whole(counts.get("output_tokens")) is not None):
        attributes[semconv.OUTPUT_TOKENS] = output_tokens
    if input_details:
        _add_parts(attributes, input_tokens, _cache(input_details))
        _add_parts(attributes, input_tokens, _modalities(input_details, INPUT_MODALITIES))
    if output_details:
        _add_parts(attributes, output_tokens, {semconv.REASONING_TOKENS: thoughts})
        _add_parts(attributes, output_tokens, _modalities(output_details, OUTPUT_MODALITIES))
    if cached := attributes.get(semconv.CACHE_WRITE_TOKENS):
        attributes[semconv.CACHE_CREATION_TOKENS] = cached
    return attributes


def _add_parts(attributes: PlainAttributes, total: int, parts: Mapping[str, int]) -> None:
    if sum(parts.values()) <= total:
        attributes.update({name: count for name, count in parts.items() if count})


def _cache(details: _Counts) -> dict[str, int]:
    """Return what was read from a cache and written to it, which Anthropic has by time to live: ``ephemeral_5m_``."""
    by_time = sum(_count(details, name) for name in _names(details) if name.startswith("ephemeral_"))
    return {
        semconv.CACHE_READ_TOKENS: _detail(details, "cache_read"),
        semconv.CACHE_WRITE_TOKENS: _detail(details, "cache_creation") or by_time,
    }


def _modalities(details: _Counts, names: Mapping[str, str]) -> dict[str, int]:
    return {name: _count(details, modality) for modality, name in names.items()}


def _detail(details: _Counts, name: str) -> int:
    """Return a part of a count; OpenAI's service tiers put theirs before its name (``flex_cache_read``)."""
    return _count(details, name) or sum(_count(details, key) for key in _names(details) if key.endswith(f"_{name}"))


def _names(details: _Counts) -> Iterator[str]:
    return (name for name, _ in stored_pairs(details) or () if type(name) is str)


def _standard(raw: _Counts) -> _Counts:
    """Return the counts of a provider as LangChain names them."""
    read, written = _first(raw, *_READ), _first(raw, *_WRITTEN)
    input_details = _details(raw, "prompt_tokens_details") or _details(raw, "input_tokens_details")
    output_details = _details(raw, "completion_tokens_details") or _details(raw, "output_tokens_details")
    output = next((count for key in _OUTPUTS if (count := _whole(raw.get(key))) is not None), None)
    thoughts = _count(raw, "thoughts_token_count")
    return {
        # Anthropic and Bedrock count what has to do with the cache beside the input, OpenAI counts it within.
        "input_tokens": _first(raw, *_INPUTS) + read + written,
        # Google counts thoughts beside the output.
        "output_tokens": output + thoughts if output is not None else None,
        "input_token_details": {
            "cache_read": read or _count(input_details, "cached_tokens") or _count(raw, "cached_content_token_count"),
            "cache_creation": written or _count(input_details, "cache_write_tokens"),
            **{name: _count(input_details, f"{name}_tokens") for name in INPUT_MODALITIES},
        },
        "output_token_details": {
            "reasoning": thoughts or _first(output_details, "reasoning_tokens", "thinking_tokens"),
            **{name: _count(output_details, f"{name}_tokens") for name in OUTPUT_MODALITIES},
        },
    }


# Names of OpenAI and many others, Anthropic and Cohere, Bedrock, Google, Ollama, Bedrock's streams.
_INPUTS: Final = (
    "prompt_tokens",
    "input_tokens",
    "inputTokens",
    "prompt_token_count",
    "prompt_eval_count",
    "inputTokenCount",
)
_OUTPUTS: Final = (
    "completion_tokens",
    "output_tokens",
    "outputTokens",
    "candidates_token_count",
    "eval_count",
    "outputTokenCount",
)
_READ: Final = ("cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITTEN: Final = (
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
    "cacheWriteInputTokens",
    "cacheWriteInputTokenCount",
)


def _details(counts: _Counts, name: str) -> _Counts:
    found = counts.get(name)
    return found if isinstance(found, dict) else _NOTHING


def _first(counts: _Counts, *names: str) -> int:
    return next((count for name in names if (count := _count(counts, name))), 0)


def _count(counts: _Counts, name: str) -> int:
    """Return a count; 0 if there is none, or it can't be one."""
    value = counts.get(name)
    return value if is_count(value) else _whole(value) or 0


def _whole(value: object) -> int | None:
    """Return a value that can be a count; Cohere's are floats."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if is_count(value) else None
