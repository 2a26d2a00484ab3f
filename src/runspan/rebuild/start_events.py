"""What a span has when it starts, as the event by which LangChain announces a run.

Name, tags, metadata and parameters of the run are under the keys that LangChain has for them.
"""

from collections.abc import Callable
from typing import Any, Final

from runspan.callback_event import Event
from runspan.payload import Kind
from runspan.payload.text import text_in
from runspan.rebuild.facts import NAMES, input_messages, inputs
from runspan.rebuild.langchain_messages import agent_state, langchain_messages, text_of
from runspan.rebuild.span_data import (
    SpanData,
    as_text,
    count,
    from_json,
    number,
    structure_in,
    text,
    texts,
    value,
    without_none,
)

_MODEL_TYPES: Final = {Kind.CHAT: "chat", Kind.COMPLETION: "llm"}
# The names that LangChain's packages have for providers, where they differ from the conventions'.
_LANGCHAIN_PROVIDERS: Final = {
    "aws.bedrock": "amazon_bedrock",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google_genai",
    "gcp.gen_ai": "google_genai",
    "gcp.vertex_ai": "google_vertexai",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshot",
    "x_ai": "xai",
}
_NUMBERS: Final = {
    "temperature": NAMES.temperature,
    "max_tokens": NAMES.max_tokens,
    "top_p": NAMES.top_p,
    "top_k": NAMES.top_k,
    "frequency_penalty": NAMES.frequency_penalty,
    "presence_penalty": NAMES.presence_penalty,
    "seed": NAMES.seed,
    "n": NAMES.choices,
}


def start_event(kind: Kind, span: SpanData) -> Event:
    """Return the start of a run, without ids; what the span does not have (yet) is empty."""
    kwargs = {"name": run_name(kind, span), "tags": tags(span), "metadata": _metadata(kind, span)}
    return _STARTS[kind](kind, span, kwargs)


def run_name(kind: Kind, span: SpanData) -> str | None:
    """Return the name of a run; a model has none but one of its own, as in LangChain."""
    if name := text(span, NAMES.run_name):
        return name
    match kind:
        case Kind.CHAT | Kind.COMPLETION:
            return None
        case Kind.TOOL:
            return text(span, NAMES.tool_name) or text_in(span.name)
        case Kind.CHAIN:
            return text(span, NAMES.chain_name) or text_in(span.name)
        case _:
            return text_in(span.name)


def tags(span: SpanData) -> list[str]:
    """Return the tags of a run."""
    return texts(span, NAMES.tags)


def langchain_provider(span: SpanData) -> str | None:
    """Return LangChain's name for the provider of a model."""
    name = (text(span, NAMES.provider) or "").lower()
    return _LANGCHAIN_PROVIDERS.get(name, name) or None


def _chain_start(kind: Kind, span: SpanData, kwargs: dict[str, Any]) -> Event:
    if kind in (Kind.PROMPT, Kind.PARSER):
        kwargs["run_type"] = str(kind)
    found = inputs(kind, span)
    if found is None:
        found = agent_state(input_messages(span))
    return Event("on_chain_start", (_serialized(kind, span), found), kwargs)


def _chat_start(kind: Kind, span: SpanData, kwargs: dict[str, Any]) -> Event:
    messages = langchain_messages(input_messages(span))
    return Event("on_chat_model_start", (_serialized(kind, span), [messages]), kwargs | _request(span))


def _completion_start(kind: Kind, span: SpanData, kwargs: dict[str, Any]) -> Event:
    prompts = list(map(text_of, input_messages(span)))
    return Event("on_llm_start", (_serialized(kind, span), prompts), kwargs | _request(span))


def _request(span: SpanData) -> dict[str, Any]:
    parameters = _parameters(span)
    return {"invocation_params": parameters, "options": {"stop": parameters["stop"]}, "batch_size": 1}


def _tool_start(kind: Kind, span: SpanData, kwargs: dict[str, Any]) -> Event:
    arguments = structure_in(inputs(kind, span))
    is_object = isinstance(arguments, dict)
    kwargs |= {"inputs": arguments if is_object else None, "tool_call_id": text(span, NAMES.tool_call_id)}
    # LangChain too writes arguments as Python does.
    input_str = str(arguments) if is_object else as_text(arguments)
    return Event("on_tool_start", (_serialized(kind, span), input_str), kwargs)


def _retriever_start(kind: Kind, span: SpanData, kwargs: dict[str, Any]) -> Event:
    query = as_text(inputs(kind, span))
    return Event("on_retriever_start", (_serialized(kind, span), query), kwargs)


_STARTS: Final[dict[Kind, Callable[[Kind, SpanData, dict[str, Any]], Event]]] = {
    **dict.fromkeys((Kind.CHAIN, Kind.AGENT, Kind.GRAPH, Kind.PROMPT, Kind.PARSER), _chain_start),
    Kind.CHAT: _chat_start,
    Kind.COMPLETION: _completion_start,
    Kind.TOOL: _tool_start,
    Kind.RETRIEVER: _retriever_start,
}


def _serialized(kind: Kind, span: SpanData) -> dict[str, Any]:
    """Return LangChain's description of what it can't serialize; a model without a name goes by the model's."""
    names = NAMES.tool_name if kind is Kind.TOOL else NAMES.run_name
    if kind in _MODEL_TYPES:
        names += NAMES.request_model + NAMES.response_model
    name = text(span, names) or run_name(kind, span) or text_in(span.name) or str(kind)
    found: dict[str, Any] = {"lc": 1, "type": "not_implemented", "id": [name], "name": name}
    if kind is Kind.TOOL:
        found["description"] = text(span, NAMES.tool_description) or ""
    return found


def _metadata(kind: Kind, span: SpanData) -> dict[str, Any]:
    """Return the metadata of a run: its conversation, its graph, and for a model what LangChain adds of it."""
    thread, session = text(span, NAMES.thread_id), text(span, NAMES.session_id)
    return _recorded(span, NAMES.metadata) | without_none(
        thread_id=thread,
        session_id=session if session != thread else None,  # one id has both names
        user_id=text(span, NAMES.user_id),
        langgraph_node=text(span, NAMES.graph_node),
        langgraph_step=count(span, NAMES.graph_step),
        **(_model_metadata(kind, span) if kind in _MODEL_TYPES else {}),
    )


def _model_metadata(kind: Kind, span: SpanData) -> dict[str, Any]:
    parameters = _parameters(span)
    return {
        "ls_provider": langchain_provider(span),
        "ls_model_name": text_in(parameters.get("model")) or text_in(parameters.get("model_name")),
        "ls_model_type": _MODEL_TYPES[kind],
        "ls_temperature": parameters.get("temperature"),
        "ls_max_tokens": parameters.get("max_tokens"),
        "ls_stop": parameters.get("stop"),
    }


def _parameters(span: SpanData) -> dict[str, Any]:
    """Return what is sent to a model beside the messages; ``stop`` always, as LangChain does."""
    tools = from_json(value(span, NAMES.tools))
    stream = value(span, NAMES.stream)
    return {"stop": None, **_recorded(span, NAMES.parameters)} | without_none(
        model=text(span, NAMES.request_model),
        **{key: number(span, names) for key, names in _NUMBERS.items()},
        stop=texts(span, NAMES.stop) or None,
        stream=stream if isinstance(stream, bool) else None,
        tools=tools if isinstance(tools, list) else None,
    )


def _recorded(span: SpanData, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a JSON object of an attribute; an empty one for anything else."""
    found = from_json(value(span, names))
    return found if isinstance(found, dict) else {}
