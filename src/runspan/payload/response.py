"""The response of a model apart from its messages: its id, its model, why it ended, what it used."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from runspan import semconv
from runspan.attributes import PlainAttributes
from runspan.payload.text import name_at, name_in
from runspan.payload.usage import is_from_cache, usage

# Ids that LangChain makes from the run's id where the provider gave none.
_OWN_IDS: Final = ("run-", "lc_")
_MODEL_KEYS: Final = ("model_name", "model")
_FINISH_KEYS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason", "completionReason")
# To the name of the model that served LangChain adds the version that an Azure model was constructed with.
_VERSION_TWICE: Final = re.compile(r"(-\d{4}(?:-\d{2}-\d{2})?)\1$")
_JOINED: Final = (
    semconv.FINISH_REASONS,
    semconv.RESPONSE_MODEL,
    semconv.OPENAI_RESPONSE_TIER,
    semconv.OPENAI_FINGERPRINT,
)
_OF_STATUS: Final = {"completed": "stop", "failed": "error"}


def response_attributes(response: LLMResult) -> PlainAttributes:
    """Return response id and model, finish reasons and usage, as far as the provider returns them."""
    generations = [generation for batch in response.generations for generation in batch]
    messages = [found for each in generations if (found := _message(each)) is not None]
    message, metadata = (messages[0], messages[0].response_metadata) if messages else (None, None)
    info = generations[0].generation_info if generations else None
    output = response.llm_output
    attributes = _usage(message, output, info)
    if response_id := name_at(metadata, "id") or name_at(output, "id") or _message_id(message):
        attributes[semconv.RESPONSE_ID] = response_id
    if model := name_at(metadata, *_MODEL_KEYS) or name_at(output, *_MODEL_KEYS) or name_at(info, *_MODEL_KEYS):
        attributes[semconv.RESPONSE_MODEL] = _VERSION_TWICE.sub(r"\1", model)
    reasons = list(map(finish_reason, generations))
    if reasons == [None]:
        reasons = [name_at(output, *_FINISH_KEYS)]  # Bedrock's completion models have it there alone
    if any(reasons):
        # One for each, in order; where one is missing among others the conventions want "error".
        attributes[semconv.FINISH_REASONS] = [reason or "error" for reason in reasons]
    interface = name_at(metadata, "model_provider") or name_at(output, "model_provider")
    if interface == "openai":
        _add_openai(attributes, metadata, output)
    elif interface == "anthropic" and (tier := name_at((metadata or {}).get("usage"), "service_tier")):
        attributes[semconv.ANTHROPIC_RESPONSE_TIER] = tier
    return attributes


def said_last(chunks: Sequence[object], reasons: object) -> PlainAttributes:
    """Return what the last chunk says that ends a stream, if more than one does.

    Some providers send two such chunks, and LangChain joins their words: ``stopstop``.

    Args:
        chunks: of the stream.
        reasons: why it ended, as LangChain joins them.
    """
    last = next((each for each in reversed(chunks) if isinstance(each, Generation) and finish_reason(each)), None)
    if last is None or reasons == [finish_reason(last)]:
        return {}
    found = response_attributes(LLMResult(generations=[[last]]))
    return {name: found[name] for name in _JOINED if name in found}


def finish_reason(generation: Generation) -> str | None:
    """Return why a generation ended, in the provider's own word."""
    if reason := name_at(generation.generation_info, *_FINISH_KEYS):
        return reason
    message = _message(generation)
    return message_finish_reason(message) if message is not None else None


def message_finish_reason(message: BaseMessage) -> str | None:
    """Return why a model ended its message, as far as the message has that; that of nobody else has none."""
    metadata = message.response_metadata
    reason = name_at(metadata, *_FINISH_KEYS) or name_at(metadata.get("incomplete_details"), "reason")
    # OpenAI's Responses API gives a reason for what is not complete alone; Google blocks prompts without an answer.
    reason = reason or _OF_STATUS.get(name_at(metadata, "status") or "")
    return reason or name_at(metadata.get("prompt_feedback"), "block_reason")


def came_before_failure(response: LLMResult) -> LLMResult | None:
    """Return what a model answered before its call failed, None if that is nothing.

    LangChain adds an empty message that only carries the HTTP response.
    """
    generations = [answered for batch in response.generations if (answered := list(filter(_is_answer, batch)))]
    return LLMResult(generations=generations) if generations else None


def _is_answer(generation: Generation) -> bool:
    message = _message(generation)
    return message is None or bool(message.content or message.tool_calls or message.additional_kwargs)


def _usage(message: AIMessage | None, *sources: Mapping[str, Any] | None) -> PlainAttributes:
    """Return what a call used, in a dictionary of its own; that LangChain's own cache answered, if it did."""
    return {semconv.FROM_CACHE: True} if message is not None and is_from_cache(message) else usage(message, *sources)


def _message(generation: Generation) -> AIMessage | None:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def _message_id(message: AIMessage | None) -> str | None:
    message_id = name_in(message.id) if message is not None else None
    return message_id if message_id is not None and not message_id.startswith(_OWN_IDS) else None


def _add_openai(attributes: PlainAttributes, *sources: Mapping[str, Any] | None) -> None:
    for source in sources:
        if tier := name_at(source, "service_tier"):
            attributes[semconv.OPENAI_RESPONSE_TIER] = tier
        if fingerprint := name_at(source, "system_fingerprint"):
            attributes[semconv.OPENAI_FINGERPRINT] = fingerprint
