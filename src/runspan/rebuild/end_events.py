"""What a span says when it has ended, as the event by which LangChain announces the end of a run."""

from collections.abc import Callable
from typing import Any, Final

from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from runspan._guard import attempt
from runspan.callback_event import Event
from runspan.payload import Kind
from runspan.rebuild import subject
from runspan.rebuild.dialects.base import Said
from runspan.rebuild.error import error_of
from runspan.rebuild.facts import WORDS, answered, returned
from runspan.rebuild.langchain_messages import answer, state, text_of, tool_message
from runspan.rebuild.span_data import SpanData, as_text, dicts_in, structure_in, text, text_in, texts
from runspan.rebuild.usage import token_usage, usage_metadata

_EVENTS: Final = {Kind.CHAT: "llm", Kind.COMPLETION: "llm", Kind.TOOL: "tool", Kind.RETRIEVER: "retriever"}
_SCORES: Final = ("score", "relevance_score")


def end_event(kind: Kind, told: SpanData) -> Event:
    """Return the end of a run or its error, without ids; what the span does not say is empty."""
    name = _EVENTS.get(kind, "chain")
    kwargs: dict[str, Any] = {"tags": subject.tags(told)}
    if (error := error_of(told)) is None:
        if kind is Kind.TOOL:
            kwargs["name"] = text(told, WORDS.tool_name) or subject.name(kind, told)
        return Event(f"on_{name}_end", (_RESULTS.get(kind, _outputs)(kind, told),), kwargs)
    if kind is Kind.TOOL:
        kwargs["tool_call_id"] = text(told, WORDS.tool_call_id)
    if name == "llm":
        kwargs["response"] = _partial(kind, told)
    return Event(f"on_{name}_error", (error,), kwargs)


def _outputs(kind: Kind, told: SpanData) -> Any:
    outputs = returned(kind, told)
    return state(answered(told)) if outputs is None else outputs


def _response(kind: Kind, told: SpanData) -> LLMResult:
    # A model has answered something, if only a message of which nothing is said.
    said = answered(told) or [{"role": "assistant", "parts": []}]
    return _result(kind, told, said)


def _partial(kind: Kind, told: SpanData) -> LLMResult:
    return _result(kind, told, answered(told))


def _result(kind: Kind, told: SpanData, said: list[Said]) -> LLMResult:
    reasons = texts(told, WORDS.finish_reasons)
    generations: list[Generation] = []
    for index, each in enumerate(said):
        reason = text_in(each.get("finish_reason")) or next(iter(reasons[index:]), None)
        generations.append(
            _chat_generation(told, each, reason, is_first=index == 0)
            if kind is Kind.CHAT
            else Generation(text=text_of(each), generation_info={"finish_reason": reason} if reason else None)
        )
    return LLMResult(generations=[generations], llm_output=_llm_output(told))


def _chat_generation(told: SpanData, said: Said, reason: str | None, *, is_first: bool) -> ChatGeneration:
    """Return a choice; the usage is that of the whole answer, and told once."""
    fields = {
        "id": text(told, WORDS.response_id),
        "usage_metadata": usage_metadata(told) if is_first else None,
        "response_metadata": _response_metadata(told, reason),
    }
    message = attempt(answer, said, fields, default=None) or AIMessage("", **fields)
    return ChatGeneration(message=message)


def _response_metadata(told: SpanData, reason: str | None) -> dict[str, Any]:
    found = {
        "id": text(told, WORDS.response_id),
        "model_name": text(told, WORDS.response_model),
        "stop_reason" if subject.provider(told) == "anthropic" else "finish_reason": reason,
    }
    return {key: each for key, each in found.items() if each is not None}


def _llm_output(told: SpanData) -> dict[str, Any]:
    found = {
        "id": text(told, WORDS.response_id),
        "model_name": text(told, WORDS.response_model),
        "token_usage": token_usage(told) or None,
    }
    return {key: each for key, each in found.items() if each is not None}


def _tool_output(kind: Kind, told: SpanData) -> Any:
    """Return the result: a message if a model asked for the call, as LangChain's tools return it."""
    result = returned(kind, told)
    if call_id := text(told, WORDS.tool_call_id):
        return tool_message(result, call_id, text(told, WORDS.tool_name))
    return "" if result is None else structure_in(result)


def _documents(kind: Kind, told: SpanData) -> list[Document]:
    return [_document(found) for found in dicts_in(returned(kind, told))]


def _document(found: dict[str, Any]) -> Document:
    """Return a document; what the conventions have no key for is metadata of it."""
    page_content = as_text(found.pop("content", None))
    document_id = found.pop("id", None)
    metadata = found.pop("metadata", None)
    known = metadata if isinstance(metadata, dict) else {}
    if any(name in known for name in _SCORES):
        found.pop("score", None)
    return Document(
        page_content=page_content,
        id=None if document_id is None else str(document_id),
        metadata={**found, **known},
    )


_RESULTS: Final[dict[Kind, Callable[[Kind, SpanData], Any]]] = {
    Kind.CHAT: _response,
    Kind.COMPLETION: _response,
    Kind.TOOL: _tool_output,
    Kind.RETRIEVER: _documents,
}
