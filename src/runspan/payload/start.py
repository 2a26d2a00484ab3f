"""What is known when a run starts: its kind, the name of its span, the attributes that samplers may look at."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runspan import semconv
from runspan.attributes import PlainAttributes
from runspan.payload.constructed import server
from runspan.payload.parameters import model_parameters, service_tier
from runspan.payload.providers import provider, retrieval_provider
from runspan.payload.stored import stored_items
from runspan.payload.text import describe, described, name_at, name_in, text_at

_Mapping = Mapping[str, Any] | None


class Kind(enum.StrEnum):
    """Kind of run; the value is ``langchain.run.type``."""

    CHAIN = "chain"
    AGENT = "agent"
    GRAPH = "graph"
    PROMPT = "prompt"
    PARSER = "parser"
    CHAT = "chat_model"
    COMPLETION = "llm"
    TOOL = "tool"
    RETRIEVER = "retriever"


@dataclass(slots=True)
class Start:
    """The beginning of a span."""

    kind: Kind
    name: str
    attributes: PlainAttributes


_OPERATIONS: Final = {
    Kind.CHAT: "chat",
    Kind.COMPLETION: "text_completion",
    Kind.TOOL: "execute_tool",
    Kind.RETRIEVER: "retrieval",
    Kind.AGENT: "invoke_agent",
    Kind.GRAPH: "invoke_workflow",
}
# Phoenix, MLflow and Langfuse know models, tools and agents by the operation, and the rest only by this; none of them
# knows more kinds than all do, such as PROMPT.
_SPAN_KINDS: Final = {
    Kind.CHAIN: "CHAIN",
    Kind.GRAPH: "CHAIN",
    Kind.PROMPT: "CHAIN",
    Kind.PARSER: "CHAIN",
    Kind.RETRIEVER: "RETRIEVER",
}
_MODEL_KEYS: Final = ("model", "model_name", "model_id")
_CHAIN: Final = Kind.CHAIN
_CHAIN_KINDS: Final[dict[str | None, Kind]] = {"prompt": Kind.PROMPT, "parser": Kind.PARSER}
# What LangGraph calls a graph that its user gave no name.
_UNNAMED: Final = "LangGraph"
# ``ls_integration`` in the metadata that makers of agents bind to their graphs.
_AGENT_INTEGRATIONS: Final = ("langchain_create_agent", "deepagents")


# What every run of a kind has: read at each start, copied before anything is added.
_OF_KIND: Final[dict[Kind, PlainAttributes]] = {
    kind: {
        **({semconv.OPERATION: _OPERATIONS[kind]} if kind in _OPERATIONS else {}),
        semconv.RUN_TYPE: str(kind),
        **({semconv.SPAN_KIND: _SPAN_KINDS[kind]} if kind in _SPAN_KINDS else {}),
    }
    for kind in Kind
}


def unknown_start(kind: Kind) -> Start:
    """Start a run of which nothing can be read but its kind."""
    if kind in _OPERATIONS:
        return _start(kind, None, _attributes(kind, None))
    return Start(kind, str(kind), _attributes(kind, None))


def chain_start(
    *, serialized: _Mapping = None, run_name: str | None = None, run_type: str | None = None, graph: object = None
) -> Start:
    """Start a chain, prompt or parser, which have no operation of the conventions; or an agent or a graph.

    Args:
        serialized: LangChain's description of the object.
        run_name: the name of the run.
        run_type: LangChain's type of prompts and parsers.
        graph: the compiled graph that starts, if it is one.
    """
    if graph is not None:
        return _graph_start(name_in(run_name), graph)
    kind_name = name_in(run_type) if run_type is not None else None
    kind = _CHAIN_KINDS.get(kind_name, _CHAIN)
    name = name_in(run_name) or _serialized_name(serialized) or kind_name or "chain"
    return Start(kind, name, _OF_KIND[kind].copy())


def _graph_start(run_name: str | None, graph: object) -> Start:
    """Start a compiled graph: an agent or a workflow, named only if its user named it.

    An agent is known by the metadata bound to the graph itself; that of its run is mixed with that of outer runs.
    """
    name = run_name if run_name != _UNNAMED else None
    config = getattr(graph, "config", None)
    bound = config.get("metadata") if isinstance(config, dict) else None
    agent_name = name_at(bound, "lc_agent_name")
    kind, name_key = Kind.GRAPH, semconv.WORKFLOW_NAME
    if agent_name or name_at(bound, "ls_integration") in _AGENT_INTEGRATIONS:
        kind, name_key, name = Kind.AGENT, semconv.AGENT_NAME, agent_name or name
    attributes = _attributes(kind, run_name)
    if name:
        attributes[name_key] = name
    return _start(kind, name, attributes)


def model_start(
    kind: Kind,
    *,
    serialized: _Mapping = None,
    run_name: str | None = None,
    metadata: _Mapping = None,
    invocation_params: _Mapping = None,
    options: _Mapping = None,
    constructed: _Mapping = None,
) -> Start:
    """Start a call of a chat model or of a completion model; ``constructed`` has its constructor's arguments."""
    attributes = _attributes(kind, name_in(run_name) or _serialized_name(serialized))
    attributes.update(model_parameters(invocation_params, metadata, options, constructed))
    if kind is Kind.COMPLETION:
        # Of these the parameters are the constructor's; what a call was given instead the metadata alone has.
        attributes.update(model_parameters(None, metadata))
    attributes.update(server(invocation_params, constructed))
    if name := provider(metadata, serialized, invocation_params):
        attributes[semconv.PROVIDER] = name
        if name == "openai" and (tier := service_tier(invocation_params)):
            attributes[semconv.OPENAI_SERVICE_TIER] = tier
    # Azure's completion models are asked for by their deployment; a model's name is there by default.
    model = name_at(invocation_params, "deployment_name", *_MODEL_KEYS) or name_at(metadata, "ls_model_name")
    if model := model or name_at(constructed, *_MODEL_KEYS):
        attributes[semconv.REQUEST_MODEL] = model
    return _start(kind, model, attributes)


def tool_start(*, serialized: _Mapping = None, run_name: str | None = None, tool_call_id: str | None = None) -> Start:
    """Start a call of a tool."""
    own_name = name_in(run_name)
    name = _serialized_name(serialized) or own_name or "tool"
    attributes = _attributes(Kind.TOOL, own_name if own_name != name else None)
    attributes[semconv.TOOL_NAME] = name
    attributes[semconv.TOOL_TYPE] = "function"
    if description := text_at(serialized, "description"):
        attributes[semconv.TOOL_DESCRIPTION] = describe(description)
    if call_id := name_in(tool_call_id):
        attributes[semconv.TOOL_CALL_ID] = call_id
    return _start(Kind.TOOL, name, attributes)


def retriever_start(*, serialized: _Mapping = None, run_name: str | None = None, metadata: _Mapping = None) -> Start:
    """Start a search of a retriever; provider and model are those of the embeddings, if it has them."""
    attributes = _attributes(Kind.RETRIEVER, name_in(run_name) or _serialized_name(serialized))
    if name := retrieval_provider(metadata, serialized):
        attributes[semconv.PROVIDER] = name
    if model := name_at(metadata, "ls_embedding_model"):
        attributes[semconv.REQUEST_MODEL] = model
    return _start(Kind.RETRIEVER, None, attributes)


def _start(kind: Kind, target: str | None, attributes: PlainAttributes) -> Start:
    operation = _OPERATIONS[kind]
    return Start(kind, f"{operation} {target}" if target else operation, attributes)


def _attributes(kind: Kind, run_name: str | None) -> PlainAttributes:
    attributes = _OF_KIND[kind].copy()
    if run_name:
        attributes[semconv.RUN_NAME] = run_name
    return attributes


def _serialized_name(serialized: _Mapping) -> str | None:
    """Return the name of what runs, else of its class (the last of ``id``, a path of module names)."""
    if name := name_at(serialized, "name"):
        return name
    path = stored_items(serialized.get("id")) if isinstance(serialized, dict) else None
    return name_in(described(path[-1])) if path else None
