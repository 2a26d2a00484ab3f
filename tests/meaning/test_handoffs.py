"""Hand-offs: who leaves its graph for another agent waits for nobody, and says who goes on."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import StructuredTool
from langgraph.errors import ParentCommand
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, Send

from tests.context.shapes import AGENT
from tests.fakes import ASKED, AgentModel


def team(**members):
    """Make a graph of agents, of which the first begins."""
    graph = StateGraph(MessagesState)
    for name, member in members.items():
        graph.add_node(name, member)
    return graph.add_edge(START, next(iter(members))).compile(name="team")


def agent(answer):
    """Make an agent that calls a tool once, which returns what ``answer`` does with the message for the model."""

    def look(x: int = 0):
        return answer({"messages": [ToolMessage("passed on", tool_call_id="call_1")]})

    tool = StructuredTool.from_function(look, description="Looks.")
    return create_agent(AgentModel(), [tool], name="alice")


def to_parent(goto):
    return lambda update: Command(graph=Command.PARENT, goto=goto, update=update)


def idle(state):
    """Do nothing."""
    return {}


def transfer(trace):
    attributes = trace.first("execute_tool look").attributes
    return {name: value for name, value in attributes.items() if name.startswith(("gen_ai.transfer", "langgraph.hand"))}


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_tool_that_hands_off(trace, way):
    """The tool passes control and says to whom; its node, its agent and the agent's node were handed off."""
    graph = team(alice=agent(to_parent("bob")), bob=idle)
    graph.invoke(ASKED) if way == "sync" else await graph.ainvoke(ASKED)
    # LangChain 1.0 shows the edges of agents, too.
    assert (
        trace.tree().replace("        model_to_tools\n", "")
        == f"""\
invoke_workflow team
  alice [handed_off]
    {AGENT} alice [handed_off]
      model
        chat
      tools [handed_off]
        execute_tool look
  bob"""
    )
    assert transfer(trace) == {"gen_ai.transfer.mode": "pass_control", "gen_ai.transfer.target.name": "bob"}
    left = trace.find(has="langchain.run.outcome")
    assert [span.attributes["langgraph.handoff.targets"] for span in left] == [["bob"]] * 3
    assert not any(span.is_error for span in trace.spans)


def test_a_node_that_hands_off(trace):
    """A node may hand off by itself, and to several; names are told once, also those of a ``Send``."""
    goto = ["bob", Send("carol", {}), Send("carol", {})]
    alice = StateGraph(MessagesState).add_node("decide", lambda _: Command(graph=Command.PARENT, goto=goto))
    team(alice=alice.add_edge(START, "decide").compile(), bob=idle, carol=idle).invoke({"messages": []})
    assert (
        sorted(trace.tree().splitlines())
        == """\
      decide [handed_off]
    invoke_workflow [handed_off]
  alice [handed_off]
  bob
  carol
  carol
invoke_workflow team""".splitlines()
    )
    assert trace.first("decide").attributes["langgraph.handoff.targets"] == ["bob", "carol"]


def test_a_node_that_leaves_its_graph_for_no_one_in_particular(trace):
    """Without a target the outcome is the same: the parent graph goes on as its edges say."""
    alice = StateGraph(MessagesState).add_node("decide", lambda _: Command(graph=Command.PARENT, update={}))
    team(alice=alice.add_edge(START, "decide").compile()).invoke({"messages": []})
    assert trace.first("decide").attributes["langchain.run.outcome"] == "handed_off"
    assert "langgraph.handoff.targets" not in trace.first("decide").attributes


def test_a_tool_that_hands_off_to_several(trace):
    """One name is no answer to who goes on, if several do."""
    team(alice=agent(to_parent(["bob", "carol"])), bob=idle, carol=idle).invoke(ASKED)
    assert transfer(trace) == {"gen_ai.transfer.mode": "pass_control"}


@pytest.mark.parametrize(
    "answer",
    [
        lambda update: Command(update=update),
        lambda update: Command(update=update, goto="model"),
        lambda update: update["messages"][0],
    ],
    ids=["update", "goto in its own graph", "message"],
)
def test_a_tool_that_answers_hands_nothing_off(trace, answer):
    """A command for the tool's own graph, or a plain answer, passes no control to another agent."""
    team(alice=agent(answer)).invoke(ASKED)
    assert transfer(trace) == {}
    assert trace.find(has="langchain.run.outcome") == []


def test_a_tool_that_raises_the_command(trace):
    """A tool through which a graph's command for its parent goes hands off itself."""

    def look() -> str:
        raise ParentCommand(Command(graph=Command.PARENT, goto="bob"))

    with pytest.raises(ParentCommand):
        StructuredTool.from_function(look, description="Looks.").invoke({})
    assert trace.tree() == "execute_tool look [handed_off]"
    assert transfer(trace) == {
        "gen_ai.transfer.mode": "pass_control",
        "gen_ai.transfer.target.name": "bob",
        "langgraph.handoff.targets": ["bob"],
    }
