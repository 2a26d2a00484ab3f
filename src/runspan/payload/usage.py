"""The tokens that a call used: totals, and the parts of them.

A part is recorded only together with the total that it is a part of, and only if all parts of one kind fit into it. A
zero is recorded of the output alone; elsewhere it stands for what was not counted.
"""

from collections.abc import Iterator, Mapping
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
}
OUTPUT_MODALITIES: Final = {
    "text": semconv.TEXT_OUTPUT_TOKENS,
    "image": semconv.IMAGE_OUTPUT_TOKENS,
    "audio": semconv.AUDIO_OUTPUT_TOKENS,
}
_NOTHING: Final[_Counts] = {}


def usage(message: AIMessage | None, llm_output: _Counts | None) -> PlainAttributes:
    """Return the counts of a message, which LangChain has made to include cached tokens; else the provider's own."""
    if message is not None and message.usage_metadata:
        return _attributes(message.usage_metadata)
    for source in (llm_output, message.response_metadata if message is not None else None):
        for name in ("token_usage", "usage"):
            raw = source.get(name) if isinstance(source, dict) else None
            if isinstance(raw, dict) and raw:
                return _attributes(_standard(raw))
    return {}


def _attributes(counts: _Counts) -> PlainAttributes:
    input_details, output_details = _details(counts, "input_token_details"), _details(counts, "output_token_details")
    thoughts = _detail(output_details, "reasoning")
    input_tokens, output_tokens = _count(counts, "input_tokens"), _count(counts, "output_tokens")
    if thoughts and _count(counts, "total_tokens") == input_tokens + output_tokens + thoughts:
        output_tokens += thoughts  # Vertex AI counts thoughts beside the output
    attributes: PlainAttributes = {}
    if input_tokens:
        attributes[semconv.INPUT_TOKENS] = input_tokens
    if output_tokens or (input_tokens and is_count(counts.get("output_tokens"))):
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
    read = _first(raw, "cache_read_input_tokens", "cacheReadInputTokens")
    written = _first(raw, "cache_creation_input_tokens", "cache_write_input_tokens", "cacheWriteInputTokens")
    input_details = _details(raw, "prompt_tokens_details") or _details(raw, "input_tokens_details")
    output_details = _details(raw, "completion_tokens_details") or _details(raw, "output_tokens_details")
    return {
        # Anthropic and Bedrock count what has to do with the cache beside the input, OpenAI counts it within.
        "input_tokens": _first(raw, "prompt_tokens", "input_tokens", "inputTokens") + read + written,
        "output_tokens": next((raw[key] for key in _OUTPUTS if is_count(raw.get(key))), None),
        "input_token_details": {
            "cache_read": read or _count(input_details, "cached_tokens"),
            "cache_creation": written or _count(input_details, "cache_write_tokens"),
            **{name: _count(input_details, f"{name}_tokens") for name in INPUT_MODALITIES},
        },
        "output_token_details": {
            "reasoning": _first(output_details, "reasoning_tokens", "thinking_tokens"),
            **{name: _count(output_details, f"{name}_tokens") for name in OUTPUT_MODALITIES},
        },
    }


_OUTPUTS: Final = ("completion_tokens", "output_tokens", "outputTokens")


def _details(counts: _Counts, name: str) -> _Counts:
    found = counts.get(name)
    return found if isinstance(found, dict) else _NOTHING


def _first(counts: _Counts, *names: str) -> int:
    return next((count for name in names if (count := _count(counts, name))), 0)


def _count(counts: _Counts, name: str) -> int:
    """Return a count; 0 if there is none, or it can't be one."""
    found = counts.get(name)
    return found if is_count(found) else 0
