"""What a span says when it starts, as the event by which LangChain announces a run."""

from collections.abc import Callable
from typing import Any, Final

from runspan.callback_event import Event
from runspan.payload import Kind
from runspan.rebuild import subject
from runspan.rebuild.facts import WORDS, asked, given
from runspan.rebuild.langchain_messages import messages, state, text_of
from runspan.rebuild.span_data import SpanData, as_text, structure_in, text


def start_event(kind: Kind, told: SpanData) -> Event:
    """Return the start of a run, without ids; what the span does not say (yet) is empty."""
    kwargs = {
        "name": subject.name(kind, told),
        "tags": subject.tags(told),
        "metadata": subject.metadata(kind, told),
    }
    return _STARTS[kind](kind, told, kwargs)


def _chain(kind: Kind, told: SpanData, kwargs: dict[str, Any]) -> Event:
    if kind in (Kind.PROMPT, Kind.PARSER):
        kwargs["run_type"] = str(kind)
    inputs = given(kind, told)
    if inputs is None:
        inputs = state(asked(told))
    return Event("on_chain_start", (subject.serialized(kind, told), inputs), kwargs)


def _chat(kind: Kind, told: SpanData, kwargs: dict[str, Any]) -> Event:
    found = messages(asked(told))
    return Event("on_chat_model_start", (subject.serialized(kind, told), [found]), kwargs | _request(told))


def _completion(kind: Kind, told: SpanData, kwargs: dict[str, Any]) -> Event:
    prompts = [text_of(said) for said in asked(told)]
    return Event("on_llm_start", (subject.serialized(kind, told), prompts), kwargs | _request(told))


def _request(told: SpanData) -> dict[str, Any]:
    sent = subject.parameters(told)
    return {"invocation_params": sent, "options": {"stop": sent["stop"]}, "batch_size": 1}


def _tool(kind: Kind, told: SpanData, kwargs: dict[str, Any]) -> Event:
    arguments = structure_in(given(kind, told))
    is_object = isinstance(arguments, dict)
    kwargs |= {"inputs": arguments if is_object else None, "tool_call_id": text(told, WORDS.tool_call_id)}
    # LangChain too writes arguments as Python does.
    input_str = str(arguments) if is_object else as_text(arguments)
    return Event("on_tool_start", (subject.serialized(kind, told), input_str), kwargs)


def _retriever(kind: Kind, told: SpanData, kwargs: dict[str, Any]) -> Event:
    query = as_text(given(kind, told))
    return Event("on_retriever_start", (subject.serialized(kind, told), query), kwargs)


_STARTS: Final[dict[Kind, Callable[[Kind, SpanData, dict[str, Any]], Event]]] = {
    Kind.CHAIN: _chain,
    Kind.AGENT: _chain,
    Kind.GRAPH: _chain,
    Kind.PROMPT: _chain,
    Kind.PARSER: _chain,
    Kind.CHAT: _chat,
    Kind.COMPLETION: _completion,
    Kind.TOOL: _tool,
    Kind.RETRIEVER: _retriever,
}
