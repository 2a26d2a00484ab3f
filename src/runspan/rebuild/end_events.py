"""What a span has when it has ended, as the event by which LangChain announces the end of a run."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from runspan import semconv
from runspan._guard import attempt
from runspan.callback_event import Event
from runspan.payload import Kind, clean
from runspan.payload.message_types import MessageDict
from runspan.payload.text import text_in
from runspan.rebuild.facts import NAMES, output_messages, outputs
from runspan.rebuild.langchain_messages import agent_state, ai_message, text_of, tool_message
from runspan.rebuild.span_data import SpanData, as_text, count, dicts_in, structure_in, text, texts, without_none
from runspan.rebuild.start_events import langchain_provider, run_name, tags

_EVENTS: Final = {Kind.CHAT: "llm", Kind.COMPLETION: "llm", Kind.TOOL: "tool", Kind.RETRIEVER: "retriever"}
_SCORES: Final = ("score", "relevance_score")


class SpanError(Exception):
    """The error of a span; its text is the description of the span's status, else that of the exception.

    Attributes:
        error_type: the class of the error, or a code, as the span names it; None if it does not.
    """

    def __init__(self, message: str, error_type: str | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type


_OUTCOMES: Final[dict[str, Callable[[], BaseException]]] = {
    "cancelled": asyncio.CancelledError,
    "abandoned": GeneratorExit,
    "interrupted": lambda: SpanError("", "interrupted"),
    "handed_off": lambda: SpanError("", "handed_off"),
}


def end_event(kind: Kind, span: SpanData) -> Event:
    """Return the end of a run or its error, without ids; what the span does not have is empty."""
    name = _EVENTS.get(kind, "chain")
    kwargs: dict[str, Any] = {"tags": tags(span)}
    if (error := _error(span)) is None:
        if kind is Kind.TOOL:
            kwargs["name"] = text(span, NAMES.tool_name) or run_name(kind, span)
        return Event(f"on_{name}_end", (_RESULTS.get(kind, _chain_outputs)(kind, span),), kwargs)
    if kind is Kind.TOOL:
        kwargs["tool_call_id"] = text(span, NAMES.tool_call_id)
    if name == "llm":
        kwargs["response"] = _llm_result(kind, span, output_messages(span))
    return Event(f"on_{name}_error", (error,), kwargs)


def _error(span: SpanData) -> BaseException | None:
    """Return the error that ended a run; None if the run returned."""
    if make := _OUTCOMES.get(text_in(span.attributes.get(semconv.RUN_OUTCOME)) or ""):
        return make()
    if span.error is None:
        return None
    recorded = SpanData("", next((event for name, event in reversed(span.events) if name == "exception"), {}))
    message = clean(span.error) or text(recorded, ("exception.message",)) or ""
    return SpanError(message, text(span, NAMES.error_type) or text(recorded, ("exception.type",)))


def _chain_outputs(kind: Kind, span: SpanData) -> Any:
    found = outputs(kind, span)
    return agent_state(output_messages(span)) if found is None else found


def _response(kind: Kind, span: SpanData) -> LLMResult:
    # A model that returned has given a message, if only one of which nothing was recorded.
    return _llm_result(kind, span, output_messages(span) or [{"role": "assistant", "parts": []}])


def _llm_result(kind: Kind, span: SpanData, messages: list[MessageDict]) -> LLMResult:
    reasons = texts(span, NAMES.finish_reasons)
    generations: list[Generation] = []
    for index, message in enumerate(messages):
        reason = text_in(message.get("finish_reason")) or next(iter(reasons[index:]), None)
        generations.append(
            _chat_generation(span, message, reason, is_first=index == 0)
            if kind is Kind.CHAT
            else Generation(text=text_of(message), generation_info={"finish_reason": reason} if reason else None)
        )
    llm_output = without_none(
        id=text(span, NAMES.response_id),
        model_name=text(span, NAMES.response_model),
        token_usage=_token_usage(span) or None,
    )
    return LLMResult(generations=[generations], llm_output=llm_output)


def _chat_generation(span: SpanData, message: MessageDict, reason: str | None, *, is_first: bool) -> ChatGeneration:
    """Return a choice; the usage is that of the whole response, so only the first has it."""
    response_id = text(span, NAMES.response_id)
    metadata = {
        "id": response_id,
        "model_name": text(span, NAMES.response_model),
        "stop_reason" if langchain_provider(span) == "anthropic" else "finish_reason": reason,
    }
    fields = {
        "id": response_id,
        "usage_metadata": _usage_metadata(span) if is_first else None,
        "response_metadata": without_none(**metadata),
    }
    return ChatGeneration(message=attempt(ai_message, message, fields, default=None) or AIMessage("", **fields))


def _usage_metadata(span: SpanData) -> UsageMetadata | None:
    """Return the usage of a message; None unless input and output are both counted, as LangChain wants them."""
    read, written, total = _token_counts(span)
    if read is None or written is None or total is None:
        return None
    usage = UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=total)
    input_details = InputTokenDetails()
    if (cache_read := count(span, NAMES.cache_read)) is not None:
        input_details["cache_read"] = cache_read
    if (cache_creation := count(span, NAMES.cache_creation)) is not None:
        input_details["cache_creation"] = cache_creation
    if input_details:
        usage["input_token_details"] = input_details
    if (reasoning := count(span, NAMES.reasoning)) is not None:
        usage["output_token_details"] = OutputTokenDetails(reasoning=reasoning)
    return usage


def _token_usage(span: SpanData) -> dict[str, Any]:
    """Return the usage in ``llm_output``, as far as it is counted."""
    read, written, total = _token_counts(span)
    return without_none(prompt_tokens=read, completion_tokens=written, total_tokens=total)


def _token_counts(span: SpanData) -> tuple[int | None, int | None, int | None]:
    """Return the tokens of input, output and both."""
    read, written, total = (count(span, each) for each in (NAMES.input_tokens, NAMES.output_tokens, NAMES.total_tokens))
    if total is None and read is not None and written is not None:
        total = read + written
    return read, written, total


def _tool_output(kind: Kind, span: SpanData) -> Any:
    """Return the result: a message if a model asked for the call, as LangChain's tools return it."""
    result = outputs(kind, span)
    if call_id := text(span, NAMES.tool_call_id):
        return tool_message(result, call_id, text(span, NAMES.tool_name))
    return "" if result is None else structure_in(result)


def _documents(kind: Kind, span: SpanData) -> list[Document]:
    return [_document(found) for found in dicts_in(outputs(kind, span))]


def _document(found: dict[str, Any]) -> Document:
    """Return a document; what the conventions have no key for is metadata of it."""
    page_content = as_text(found.pop("content", None))
    document_id = found.pop("id", None)
    recorded = found.pop("metadata", None)
    metadata = recorded if isinstance(recorded, dict) else {}
    if any(name in metadata for name in _SCORES):
        found.pop("score", None)
    return Document(
        page_content=page_content,
        id=None if document_id is None else str(document_id),
        metadata={**found, **metadata},
    )


_RESULTS: Final[dict[Kind, Callable[[Kind, SpanData], Any]]] = {
    Kind.CHAT: _response,
    Kind.COMPLETION: _response,
    Kind.TOOL: _tool_output,
    Kind.RETRIEVER: _documents,
}
