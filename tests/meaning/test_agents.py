"""Agents within agents: which graph is an agent, what it is called, and which agent runs a tool."""

import pytest
from langchain.agents import create_agent
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel import Pregel

from tests.fakes import ASKED, AgentModel, straight_graph, tool
from tests.tracing import Tracing

pytestmark = pytest.mark.newest


def _agent(tracing: Tracing, name: str | None, look: StructuredTool | None = None) -> Pregel:
    return create_agent(AgentModel(tracing=tracing), [look or tool(tracing)], name=name)


def _call(tracing: Tracing, inner: Pregel, *, hands_config_on: bool = False) -> None:
    """Have an agent call a graph in its tool."""

    def delegate(config: RunnableConfig, x: int = 0) -> str:
        inner.invoke({**ASKED, "values": []}, config if hands_config_on else None)
        return "seen"

    outer = _agent(tracing, "outer", StructuredTool.from_function(delegate, name="look", description="Asks."))
    outer.invoke(ASKED, tracing.config)


def _named(tracing: Tracing) -> list[tuple[str, str | None]]:
    """Return agents, workflows and tools in the order of their start, with the agent that each names."""
    operations = ("invoke_agent", "invoke_workflow", "execute_tool")
    spans = sorted(tracing.spans, key=lambda span: span.start_time)
    return [
        (span.name, span.attributes.get("gen_ai.agent.name"))
        for span in spans
        if span.attributes.get("gen_ai.operation.name") in operations
    ]


@pytest.mark.parametrize("hands_config_on", [True, False])
@pytest.mark.parametrize("name", ["inner", None])
def test_an_agent_in_a_tool_is_an_agent(tracing, name, hands_config_on):
    """An agent that a tool calls is one, named or not, whatever config it is handed; its tools are its own."""
    _call(tracing, _agent(tracing, name), hands_config_on=hands_config_on)
    assert _named(tracing) == [
        ("invoke_agent outer", "outer"),
        ("execute_tool look", "outer"),
        (f"invoke_agent {name}" if name else "invoke_agent", name),
        ("execute_tool look", name),
    ]


@pytest.mark.parametrize("name", ["outer", None])
def test_a_plain_graph_in_a_tool_is_a_workflow(tracing, name):
    """A plain graph that an agent's tool calls is a workflow, also if it is called like the agent."""
    inner = straight_graph(one=lambda state: {"values": ["x"]})
    inner.name = name or inner.name
    _call(tracing, inner, hands_config_on=True)
    workflow = (f"invoke_workflow {name}" if name else "invoke_workflow", None)
    assert _named(tracing) == [("invoke_agent outer", "outer"), ("execute_tool look", "outer"), workflow]


def test_a_tool_that_a_plain_graph_calls_is_of_the_agent_around_it(tracing):
    """Between an agent and its tool may be a plain graph."""
    look = tool(tracing)
    _call(tracing, straight_graph(one=lambda state: {"values": [look.invoke({"x": 1})]}))
    assert _named(tracing)[-2:] == [("invoke_workflow", None), ("execute_tool look", "outer")]


@pytest.mark.parametrize("name", ["shop", None])
def test_an_agent_whose_run_has_a_name(tracing, name):
    """A run's name makes no workflow of an agent, whose own name wins."""
    _agent(tracing, name).invoke(ASKED, {**tracing.config, "run_name": "nightly"})
    shown = name or "nightly"
    assert _named(tracing)[0] == (f"invoke_agent {shown}", shown)
    assert tracing.one(f"invoke_agent {shown}").attributes["langchain.run.name"] == "nightly"


def test_an_agent_as_a_node(tracing):
    """An agent that is a node of a graph is an agent."""
    graph = StateGraph(MessagesState)
    graph.add_node("helper", _agent(tracing, "helper"))
    graph.add_edge(START, "helper")
    graph.compile().invoke(ASKED, tracing.config)
    assert _named(tracing) == [
        ("invoke_workflow", None),
        ("invoke_agent helper", "helper"),
        ("execute_tool look", "helper"),
    ]


@pytest.mark.parametrize("name", ["deep", None])
def test_an_agent_of_deepagents(tracing, name):
    """An agent of deepagents is told by what that binds to its graph, which has a name or None."""
    metadata = {"ls_integration": "deepagents", "lc_agent_name": name}
    _agent(tracing, name).with_config(metadata=metadata).invoke(ASKED, tracing.config)
    assert _named(tracing) == [
        (f"invoke_agent {name}" if name else "invoke_agent", name),
        ("execute_tool look", name),
    ]
