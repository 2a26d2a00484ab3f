"""What a model's answer says about itself: its id, its model, why it ended, what it used."""

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from runspan import semconv
from runspan.payload.content import Attributes, is_int64
from runspan.payload.text import text_at, text_in

# Ids that LangChain makes from the run's id where the provider gave none.
_OWN_IDS: Final = ("run-", "lc_")
_FINISH_KEYS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason")


def answer(response: LLMResult) -> Attributes:
    """Return response id and model, finish reasons and usage, as far as the provider tells them."""
    generations = [generation for batch in response.generations for generation in batch]
    message = next(filter(None, map(_message, generations)), None)
    metadata = message.response_metadata if message else None
    # Usage first: it is a dictionary of its own, to add to.
    attributes = _usage(message, response.llm_output)
    if response_id := text_at(metadata, "id") or text_at(response.llm_output, "id") or _message_id(message):
        attributes[semconv.RESPONSE_ID] = response_id
    if model := text_at(metadata, "model_name", "model") or text_at(response.llm_output, "model_name", "model"):
        attributes[semconv.RESPONSE_MODEL] = model
    reasons = list(map(finish_reason, generations))
    if any(reasons):
        # One for each, in order; where one is missing among others the conventions want "error".
        attributes[semconv.FINISH_REASONS] = [reason or "error" for reason in reasons]
    return attributes


def finish_reason(generation: Generation) -> str | None:
    """Return why a generation ended, in the provider's own word."""
    if reason := text_at(generation.generation_info, "finish_reason"):
        return reason
    message = _message(generation)
    return text_at(message.response_metadata, *_FINISH_KEYS) if message else None


def _message(generation: Generation) -> AIMessage | None:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def _message_id(message: AIMessage | None) -> str | None:
    if message is None or not message.id or message.id.startswith(_OWN_IDS):
        return None
    return text_in(message.id)


def _usage(message: AIMessage | None, llm_output: dict[str, Any] | None) -> Attributes:
    """Return the counts of the first message, which LangChain has made to include cached tokens; else the raw ones."""
    if message and message.usage_metadata:
        return _standard_usage(message.usage_metadata)
    for source in (llm_output, message.response_metadata if message else None):
        usage = (source or {}).get("token_usage") or (source or {}).get("usage")
        if isinstance(usage, dict):
            return _counts(
                {
                    semconv.INPUT_TOKENS: usage.get("prompt_tokens", usage.get("input_tokens")),
                    semconv.OUTPUT_TOKENS: usage.get("completion_tokens", usage.get("output_tokens")),
                }
            )
    return {}


def _standard_usage(usage: Mapping[str, Any]) -> Attributes:
    counts = {semconv.INPUT_TOKENS: usage.get("input_tokens"), semconv.OUTPUT_TOKENS: usage.get("output_tokens")}
    # Finer counts are told only where there are any: providers send zeros for what they do not count.
    if (read := usage.get("input_token_details")) and any(read.values()):
        counts[semconv.CACHE_READ_TOKENS] = _detail(read, "cache_read")
        counts[semconv.CACHE_WRITE_TOKENS] = counts[semconv.CACHE_CREATION_TOKENS] = _cache_write(read)
    if (written := usage.get("output_token_details")) and any(written.values()):
        counts[semconv.REASONING_TOKENS] = _detail(written, "reasoning")
    return _counts(counts)


def _cache_write(details: Mapping[str, Any]) -> Any:
    """Return the count of tokens written to a cache; Anthropic tells them by time to live (``ephemeral_5m_...``)."""
    by_time = (count for name, count in details.items() if name.startswith("ephemeral_"))
    return _detail(details, "cache_creation") or sum(filter(None, by_time)) or None


def _detail(details: Mapping[str, Any], name: str) -> Any:
    """Return a part of a count; OpenAI's service tiers put theirs before its name (``flex_cache_read``)."""
    by_tier = (count for key, count in details.items() if key.endswith(f"_{name}"))
    return details.get(name) or next(by_tier, None) or None


def _counts(found: Mapping[str, Any]) -> Attributes:
    return {name: count for name, count in found.items() if is_int64(count)}
