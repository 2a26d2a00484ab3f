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


def agent(tracing, answer):
    """Make an agent that calls a tool once, which returns what ``answer`` does with the message for the model."""

    def look(x: int = 0):
        return answer({"messages": [ToolMessage("passed on", tool_call_id="call_1")]})

    tool = StructuredTool.from_function(look, description="Looks.")
    return create_agent(AgentModel(tracing=tracing), [tool], name="alice")


def to_parent(goto):
    return lambda update: Command(graph=Command.PARENT, goto=goto, update=update)


def idle(state):
    """Do nothing."""
    return {}


def transfer(tracing):
    attributes = tracing.one("execute_tool look").attributes
    return {name: value for name, value in attributes.items() if name.startswith(("gen_ai.transfer", "langgraph.hand"))}


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_tool_that_hands_off(tracing, way):
    """The tool passes control and says to whom; its node, its agent and the agent's node were handed off."""
    graph = team(alice=agent(tracing, to_parent("bob")), bob=idle)
    graph.invoke(ASKED, tracing.config) if way == "sync" else await graph.ainvoke(ASKED, tracing.config)
    # LangChain 1.0 shows the edges of agents, too.
    assert (
        tracing.text(without="        model_to_tools")
        == f"""\
invoke_workflow team
  alice [handed_off]
    {AGENT} alice [handed_off]
      model
        chat
          http
      tools [handed_off]
        execute_tool look
  bob"""
    )
    assert transfer(tracing) == {"gen_ai.transfer.mode": "pass_control", "gen_ai.transfer.target.name": "bob"}
    left = [span for span in tracing.spans if "langchain.run.outcome" in span.attributes]
    assert [span.attributes["langgraph.handoff.targets"] for span in left] == [("bob",)] * 3
    assert all(span.status.is_ok for span in tracing.spans)


def test_a_node_that_hands_off(tracing):
    """A node may hand off by itself, and to several; names are told once, also those of a ``Send``."""
    goto = ["bob", Send("carol", {}), Send("carol", {})]
    alice = StateGraph(MessagesState).add_node("decide", lambda _: Command(graph=Command.PARENT, goto=goto))
    team(alice=alice.add_edge(START, "decide").compile(), bob=idle, carol=idle).invoke({"messages": []}, tracing.config)
    assert (
        sorted(tracing.text().splitlines())
        == """\
      decide [handed_off]
    invoke_workflow [handed_off]
  alice [handed_off]
  bob
  carol
  carol
invoke_workflow team""".splitlines()
    )
    assert tracing.one("decide").attributes["langgraph.handoff.targets"] == ("bob", "carol")


def test_a_node_that_leaves_its_graph_for_no_one_in_particular(tracing):
    """Without a target the outcome is the same: the parent graph goes on as its edges say."""
    alice = StateGraph(MessagesState).add_node("decide", lambda _: Command(graph=Command.PARENT, update={}))
    team(alice=alice.add_edge(START, "decide").compile()).invoke({"messages": []}, tracing.config)
    assert tracing.one("decide").attributes["langchain.run.outcome"] == "handed_off"
    assert "langgraph.handoff.targets" not in tracing.one("decide").attributes


def test_a_tool_that_hands_off_to_several(tracing):
    """One name is no answer to who goes on, if several do."""
    team(alice=agent(tracing, to_parent(["bob", "carol"])), bob=idle, carol=idle).invoke(ASKED, tracing.config)
    assert transfer(tracing) == {"gen_ai.transfer.mode": "pass_control"}


@pytest.mark.parametrize(
    "answer",
    [
        lambda update: Command(update=update),
        lambda update: Command(update=update, goto="model"),
        lambda update: update["messages"][0],
    ],
    ids=["update", "goto in its own graph", "message"],
)
def test_a_tool_that_answers_hands_nothing_off(tracing, answer):
    """A command for the tool's own graph, or a plain answer, passes no control to another agent."""
    team(alice=agent(tracing, answer)).invoke(ASKED, tracing.config)
    assert transfer(tracing) == {}
    assert not any("langchain.run.outcome" in span.attributes for span in tracing.spans)


def test_a_tool_that_raises_the_command(tracing):
    """A tool through which a graph's command for its parent goes hands off itself."""

    def look() -> str:
        raise ParentCommand(Command(graph=Command.PARENT, goto="bob"))

    with pytest.raises(ParentCommand):
        StructuredTool.from_function(look, description="Looks.").invoke({}, tracing.config)
    assert tracing.text() == "execute_tool look [handed_off]"
    assert transfer(tracing) == {
        "gen_ai.transfer.mode": "pass_control",
        "gen_ai.transfer.target.name": "bob",
        "langgraph.handoff.targets": ("bob",),
    }
