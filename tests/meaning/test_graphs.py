"""Agents, graphs and nodes: what they are called, where they stand, which level of detail shows them."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool

from runspan import Settings
from tests.fakes import ASKED, USAGE, AgentModel, Model, body, look_then_answer, straight_graph, tool
from tests.tracing import Tracing


@pytest.mark.newest
def test_a_named_agent(tracing):
    """An agent that its user named is ``invoke_agent`` with that name, and its tools say who runs them."""
    agent = create_agent(AgentModel(tracing=tracing), [tool(tracing)], name="helper")
    agent.invoke(ASKED, {**tracing.config, "configurable": {"thread_id": "t1"}})
    assert tracing.text().splitlines()[:2] == ["invoke_agent helper", "  model"]
    attributes = tracing.one("invoke_agent helper").attributes
    assert dict(attributes) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "helper",
        "gen_ai.conversation.id": "t1",
        "gen_ai.input.messages": attributes["gen_ai.input.messages"],
        "gen_ai.output.messages": attributes["gen_ai.output.messages"],
        "input.value": "look",
        "input.mime_type": "text/plain",
        "output.value": "three",
        "output.mime_type": "text/plain",
        "langchain.run.id": attributes["langchain.run.id"],
        "langchain.run.name": "helper",
        "langchain.run.type": "agent",
        "session.id": "t1",
    }
    assert tracing.one("execute_tool look").attributes["gen_ai.agent.name"] == "helper"
    operations = {"chat", "execute_tool look", "invoke_agent helper"}
    assert {span.name for span in tracing.spans if "gen_ai.conversation.id" in span.attributes} == operations


@pytest.mark.newest
def test_agents_within_an_agent(tracing):
    """A supervisor's sub-agents are agents of their own; a plain graph in a tool is a workflow, a chain is neither."""
    inner = create_agent(AgentModel(tracing=tracing), [tool(tracing)], name="inner")
    plain = straight_graph(deep=lambda state: {"values": ["x"]})

    def ask(x: int = 0) -> str:
        inner.invoke(ASKED)
        plain.invoke({"values": []})
        return "seen"

    look = StructuredTool.from_function(ask, name="look", description="Asks.")
    supervisor = create_agent(AgentModel(tracing=tracing), [look], name="supervisor")
    (RunnableLambda(lambda x: x, name="before") | supervisor).invoke(ASKED, tracing.config)
    names = [line for line in tracing.text().splitlines() if "invoke" in line or "Sequence" in line]
    assert names == [
        "RunnableSequence",
        "  invoke_agent supervisor",
        "        invoke_agent inner",
        "        invoke_workflow",
    ]


def test_a_named_graph(tracing):
    """A graph is a workflow, with the name that its user gave it; nodes say where they stand."""
    graph = straight_graph(one=lambda state: {"values": ["x"]})
    graph.name = "approval"
    graph.invoke({"values": []}, tracing.config)
    assert tracing.text() == "invoke_workflow approval\n  one"
    assert tracing.one("invoke_workflow approval").attributes["gen_ai.workflow.name"] == "approval"
    node = tracing.one("one").attributes
    assert (node["langgraph.node"], node["langgraph.step"]) == ("one", 1)
    assert node["langgraph.checkpoint.namespace"].startswith("one:")
    assert "gen_ai.operation.name" not in node


LEVELS = {
    "minimal": "invoke_workflow\n  invoke_workflow\n    chat\n      http\n  work of the hidden\n  chat\n    http",
    "normal": """\
invoke_workflow
  sub
    invoke_workflow
      deep
        chat
          http
  after
    work of the hidden
    chat
      http""",
    "all": """\
invoke_workflow
  sub
    invoke_workflow
      deep
        chat
          http
  after
    hidden
      work of the hidden
    chat
      http""",
}
# What LangGraph hides of its own.
PLUMBING = ("__start__", "_write", "ChannelWrite")


@pytest.mark.parametrize("level", ["minimal", "normal", "all"])
def test_levels_of_detail(level):
    """What a level does not show moves its children up; the current span is right all the same."""
    tracing = Tracing(Settings(detail=level))
    model = Model(tracing=tracing)
    inner = straight_graph(deep=lambda state: {"values": [model.invoke("x").text]})
    hidden = body(tracing, "hidden").with_config(tags=["langsmith:hidden"])

    def after(state):
        hidden.invoke("x")
        return {"values": [model.invoke("x").text]}

    straight_graph(sub=inner, after=after).invoke({"values": []}, tracing.config)
    lines = [line for line in tracing.text().splitlines() if not line.strip().startswith(PLUMBING)]
    assert "\n".join(lines) == LEVELS[level].replace("work of the hidden", "hidden work")


def test_the_top_is_shown_at_every_level():
    """A chain at the top has a span at the least level, so that its trace has one root."""
    tracing = Tracing(Settings(detail="minimal"))
    (body(tracing, "first") | Model(tracing=tracing)).invoke("x", tracing.config)
    assert tracing.text() == "RunnableSequence\n  first work\n  chat\n    http"


def test_the_top_of_what_is_traced_is_shown_at_every_level():
    """So has a chain within one that is not traced."""
    tracing = Tracing(Settings(detail="minimal"))
    traced = (body(tracing, "first") | Model(tracing=tracing)).with_config(tracing.config)
    (RunnableLambda(lambda x: x) | traced).invoke("x")
    assert tracing.text() == "RunnableSequence\n  first work\n  chat\n    http"


@pytest.mark.newest
def test_the_tokens_of_a_subtree(tracing):
    """The agent at the top carries what the models within used, under names that nobody adds up again."""
    inner = create_agent(AgentModel(tracing=tracing, usage=USAGE), [tool(tracing)], name="inner")
    look = StructuredTool.from_function(
        lambda x=0: inner.invoke(ASKED)["messages"][-1].text, name="look", description="."
    )
    create_agent(AgentModel(tracing=tracing, usage=USAGE), [look], name="outer").invoke(ASKED, tracing.config)
    totals = {"langchain.subtree.input_tokens": 28, "langchain.subtree.output_tokens": 20}
    found = {
        span.name: {key: value for key, value in span.attributes.items() if "subtree" in key}
        for span in tracing.spans
        if span.name.startswith("invoke_agent")
    }
    assert found == {"invoke_agent outer": totals, "invoke_agent inner": {}}


def test_metadata_by_choice():
    """Keys of metadata that a setting names are on every span, whatever they hold; others are on none."""
    tracing = Tracing(Settings(metadata_keys=("user_id", "plan")))
    metadata = {"user_id": "u1", "plan": {"tier": 2}, "secret": "x"}
    (body(tracing, "first") | Model(tracing=tracing)).invoke("x", {**tracing.config, "metadata": metadata})
    for name in ("RunnableSequence", "first", "chat"):
        attributes = tracing.one(name).attributes
        assert attributes["langchain.metadata.user_id"] == "u1"
        assert attributes["langchain.metadata.plan"] == '{"tier":2}'
        assert "langchain.metadata.secret" not in attributes


@pytest.mark.newest
def test_links_between_models_and_tools(tracing):
    """A tool links to the model that asked for it, the next model to the tools whose results it reads."""

    def look_twice(messages):
        answer = look_then_answer(messages)
        more = {"name": "look", "args": {"x": 2}, "id": "call_2"}
        return AIMessage("", tool_calls=[*answer.tool_calls, more]) if answer.tool_calls else answer

    create_agent(Model(tracing=tracing, answer=look_twice), [tool(tracing)]).invoke(ASKED, tracing.config)
    first, second = tracing.named("chat")
    tools = {span.attributes["gen_ai.tool.call.id"]: span for span in tracing.named("execute_tool look")}
    assert sorted(tools) == ["call_1", "call_2"]
    for span in tools.values():
        assert [link.context for link in span.links] == [first.context]
    assert first.links == ()
    assert [link.context for link in second.links] == [tools["call_1"].context, tools["call_2"].context]
    kinds = [link.attributes["langchain.link.type"] for span in (*tools.values(), second) for link in span.links]
    assert kinds == ["asked_by", "asked_by", "reads", "reads"]


@pytest.mark.newest
def test_structured_content():
    """By choice messages and arguments are lists and objects on the spans; the text is the same."""
    tracing = Tracing(Settings(content_form="structured", capture_chains=True))
    (body(tracing, "first") | Model(tracing=tracing)).invoke("Grüße", tracing.config)
    tool(tracing).invoke({"x": 1}, tracing.config)
    chat = tracing.one("chat").attributes
    assert chat["gen_ai.input.messages"] == ({"role": "user", "parts": ({"type": "text", "content": "Grüße"},)},)
    answer = {"role": "assistant", "parts": ({"type": "text", "content": "three"},), "finish_reason": "stop"}
    assert chat["gen_ai.output.messages"] == (answer,)
    assert tracing.one("execute_tool look").attributes["gen_ai.tool.call.arguments"] == {"x": 1}
    assert tracing.one("first").attributes["input.value"] == "Grüße"


def test_text_is_readable():
    """JSON on spans has the letters themselves."""
    tracing = Tracing()
    Model(tracing=tracing).invoke("Grüße 世界", tracing.config)
    assert "Grüße 世界" in tracing.one("chat").attributes["gen_ai.input.messages"]


def test_the_tools_that_a_model_may_call(tracing):
    """They are told by type and name, beside the messages; without content they are not."""
    tools = [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {}}}]
    Model(tracing=tracing).bind(tools=tools, temperature=0.5).invoke("x", tracing.config)
    attributes = tracing.one("chat").attributes
    assert attributes["gen_ai.tool.definitions"] == '[{"type":"function","name":"look"}]'
    assert attributes["gen_ai.request.temperature"] == 0.5
    strict = Tracing(Settings(capture_content="none"))
    Model(tracing=strict).bind(tools=tools).invoke("x", strict.config)
    assert "gen_ai.tool.definitions" not in strict.one("chat").attributes
