"""What is known when a chain, prompt, parser, agent, graph or node starts."""

from collections.abc import Mapping
from typing import Any, Final

from runspan import semconv
from runspan.payload.start import Kind, Start, serialized_name
from runspan.payload.text import text_at, text_in

_CHAIN_KINDS: Final = {"prompt": Kind.PROMPT, "parser": Kind.PARSER}
# What LangGraph calls a graph that its user gave no name.
_UNNAMED: Final = "LangGraph"
# What makers of agents bind into the metadata of their graphs.
_AGENT_INTEGRATIONS: Final = ("langchain_create_agent", "deepagents")


def chain_start(
    serialized: Mapping[str, Any] | None,
    run_name: str | None,
    run_type: str | None,
    graph: object = None,
) -> Start:
    """Start a chain, prompt or parser, which have no operation of the conventions; or an agent or a graph.

    Args:
        serialized: what LangChain tells of the object.
        run_name: the name of the run.
        run_type: LangChain's word for prompts and parsers.
        graph: the compiled graph that starts, if it is one.
    """
    if graph is not None:
        return _graph_start(text_in(run_name), graph)
    kind_name = text_in(run_type)
    kind = _CHAIN_KINDS.get(kind_name or "", Kind.CHAIN)
    name = text_in(run_name) or serialized_name(serialized) or kind_name or "chain"
    return Start(kind, name, {semconv.RUN_TYPE: str(kind)})


def _graph_start(run_name: str | None, graph: object) -> Start:
    """Start a compiled graph: an agent or a workflow, named only if its user named it.

    What tells an agent is bound to the graph itself. The metadata of its run is mixed with that of the runs around it.
    """
    name = run_name if run_name != _UNNAMED else None
    config = getattr(graph, "config", None)
    bound = config.get("metadata") if isinstance(config, dict) else None
    agent_name = text_at(bound, "lc_agent_name")
    if agent_name or text_at(bound, "ls_integration") in _AGENT_INTEGRATIONS:
        return _operation(Kind.AGENT, "invoke_agent", semconv.AGENT_NAME, agent_name or name, run_name)
    return _operation(Kind.GRAPH, "invoke_workflow", semconv.WORKFLOW_NAME, name, run_name)


def _operation(kind: Kind, operation: str, name_key: str, name: str | None, run_name: str | None) -> Start:
    attributes = {semconv.OPERATION: operation, semconv.RUN_TYPE: str(kind)}
    if name:
        attributes[name_key] = name
    if run_name:
        attributes[semconv.RUN_NAME] = run_name
    return Start(kind, f"{operation} {name}" if name else operation, {**attributes})
