"""What is known when a chain, prompt, parser, agent, graph or node starts."""

from collections.abc import Mapping
from typing import Any, Final

from runspan import semconv
from runspan.payload.start import Kind, Start, serialized_name
from runspan.payload.text import text_at, text_in

_Metadata = Mapping[str, Any] | None

_CHAIN_KINDS: Final = {"prompt": Kind.PROMPT, "parser": Kind.PARSER}
# The module whose functions start the run of a compiled graph, and of nothing else.
_GRAPH_MODULE: Final = "langgraph.pregel.main"
# What LangGraph calls a graph that its user gave no name.
_UNNAMED: Final = "LangGraph"
_AGENT_INTEGRATION: Final = "langchain_create_agent"


def chain_start(
    serialized: Mapping[str, Any] | None,
    run_name: str | None,
    run_type: str | None,
    metadata: _Metadata = None,
    module: str | None = None,
) -> Start:
    """Start a chain, prompt or parser, which have no operation of the conventions; or an agent or a graph.

    Args:
        serialized: what LangChain tells of the object.
        run_name: the name of the run.
        run_type: LangChain's word for prompts and parsers.
        metadata: the metadata of the run.
        module: the module of the function that started it.
    """
    if module == _GRAPH_MODULE:
        return _graph_start(text_in(run_name), metadata)
    kind_name = text_in(run_type)
    kind = _CHAIN_KINDS.get(kind_name or "", Kind.CHAIN)
    name = text_in(run_name) or serialized_name(serialized) or kind_name or "chain"
    return Start(kind, name, {semconv.RUN_TYPE: str(kind)})


def _graph_start(run_name: str | None, metadata: _Metadata) -> Start:
    """Start a compiled graph: an agent of ``create_agent``, or a workflow, named only if its user named it."""
    name = run_name if run_name != _UNNAMED else None
    if _is_agent(run_name, metadata):
        return _operation(Kind.AGENT, "invoke_agent", semconv.AGENT_NAME, name, run_name)
    return _operation(Kind.GRAPH, "invoke_workflow", semconv.WORKFLOW_NAME, name, run_name)


def _is_agent(run_name: str | None, metadata: _Metadata) -> bool:
    # What runs in an agent inherits its metadata: a plain graph in its tool has another name, or is no root.
    if agent := text_at(metadata, "lc_agent_name"):
        return agent == run_name
    is_root = not metadata or "langgraph_node" not in metadata
    return is_root and text_at(metadata, "ls_integration") == _AGENT_INTEGRATION


def _operation(kind: Kind, operation: str, name_key: str, name: str | None, run_name: str | None) -> Start:
    attributes = {semconv.OPERATION: operation, semconv.RUN_TYPE: str(kind)}
    if name:
        attributes[name_key] = name
    if run_name:
        attributes[semconv.RUN_NAME] = run_name
    return Start(kind, f"{operation} {name}" if name else operation, {**attributes})
