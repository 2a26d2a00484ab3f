"""Tokens that a span counts, in LangChain's words."""

from typing import Any

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

from runspan.rebuild.facts import WORDS
from runspan.rebuild.span_data import SpanData, count


def usage_metadata(told: SpanData) -> UsageMetadata | None:
    """Return the usage of a message; None unless input and output are both counted, as LangChain wants them."""
    read, written, total = _counts(told)
    if read is None or written is None:
        return None
    usage = UsageMetadata(
        input_tokens=read, output_tokens=written, total_tokens=read + written if total is None else total
    )
    input_details = InputTokenDetails()
    if (cache_read := count(told, WORDS.cache_read)) is not None:
        input_details["cache_read"] = cache_read
    if (cache_creation := count(told, WORDS.cache_creation)) is not None:
        input_details["cache_creation"] = cache_creation
    if input_details:
        usage["input_token_details"] = input_details
    if (reasoning := count(told, WORDS.reasoning)) is not None:
        usage["output_token_details"] = OutputTokenDetails(reasoning=reasoning)
    return usage


def token_usage(told: SpanData) -> dict[str, Any]:
    """Return the usage in ``llm_output``, as far as it is counted."""
    read, written, total = _counts(told)
    if total is None and read is not None and written is not None:
        total = read + written
    found = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": total}
    return {key: each for key, each in found.items() if each is not None}


def _counts(told: SpanData) -> tuple[int | None, int | None, int | None]:
    return count(told, WORDS.input_tokens), count(told, WORDS.output_tokens), count(told, WORDS.total_tokens)
