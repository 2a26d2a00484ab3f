"""Whole traces: each span by its name, with its operation, its links by the names of what they lead to."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from tests.fakes import ASKED, Model, Retriever, SyncModel, straight_graph
from tests.tracing import check_sound

pytestmark = pytest.mark.newest


def call_each(*tools):
    """Return what answers with a call of each tool, one after the other, then in words."""

    def answer(messages):
        done = sum(isinstance(message, ToolMessage) for message in messages)
        if done == len(tools):
            return AIMessage("done")
        return AIMessage("", tool_calls=[{"name": tools[done], "args": {"x": 1}, "id": f"{tools[done]}_{done}"}])

    return answer


def tool(name, work=lambda x: "seen"):
    return StructuredTool.from_function(lambda x=0: work(x), name=name, description="Works.")


def linked(tracing):
    """Return the traces as a text that says of each span how it ended and which spans it links to."""
    check_sound(tracing.spans)
    return tracing.trace.tree(links=True)


def test_an_agent_with_two_tools(tracing):
    """Each tool links to the model that asked for it, each model to the tool whose result it reads."""
    model = SyncModel(tracing=tracing, answer=call_each("search", "add"))
    create_agent(model, [tool("search"), tool("add")], name="helper").invoke(ASKED, tracing.config)
    assert (
        linked(tracing)
        == """\
invoke_agent helper
  model
    chat
      http
  tools
    execute_tool search -> chat
  model
    chat -> execute_tool search
      http
  tools
    execute_tool add -> chat
  model
    chat -> execute_tool add
      http"""
    )


def test_a_supervisor_with_two_agents(tracing):
    """The agents that a supervisor asks are agents of their own, below the tools by which it asks."""
    agents = {name: create_agent(SyncModel(tracing=tracing), [], name=name) for name in ("researcher", "writer")}

    def ask(name):
        return tool(name, lambda _: agents[name].invoke(ASKED)["messages"][-1].text)

    model = SyncModel(tracing=tracing, answer=call_each("researcher", "writer"))
    create_agent(model, [ask("researcher"), ask("writer")], name="supervisor").invoke(ASKED, tracing.config)
    assert (
        linked(tracing)
        == """\
invoke_agent supervisor
  model
    chat
      http
  tools
    execute_tool researcher -> chat
      invoke_agent researcher
        model
          chat
            http
  model
    chat -> execute_tool researcher
      http
  tools
    execute_tool writer -> chat
      invoke_agent writer
        model
          chat
            http
  model
    chat -> execute_tool writer
      http"""
    )


def test_a_graph_with_a_subgraph_that_waits(tracing):
    """The interrupt goes up through the nodes, none is a failure; the resumed graph links to that which waited."""
    inner = straight_graph(ask=lambda state: {"values": [interrupt("sure?")]})
    outer = straight_graph(first=lambda state: {"values": ["a"]}, sub=inner, last=lambda state: {"values": ["b"]})
    outer.checkpointer, outer.name, inner.name = InMemorySaver(), "outer", "inner"
    config = {**tracing.config, "configurable": {"thread_id": "t1"}}
    outer.invoke({"values": []}, config)
    outer.invoke(Command(resume="yes"), config)
    assert (
        linked(tracing)
        == """\
invoke_workflow outer [interrupted]
  first
  sub [interrupted]
    invoke_workflow inner [interrupted]
      ask [interrupted]
invoke_workflow outer -> invoke_workflow outer
  sub
    invoke_workflow inner
      ask
  last"""
    )


def test_a_retrieval_chain(tracing):
    """What is found goes into the prompt of the model."""
    found = Retriever(tracing=tracing) | RunnableLambda(lambda found: found[0].page_content, name="first")
    prompt = ChatPromptTemplate.from_template("{found}: {question}")
    chain = {"found": found, "question": RunnablePassthrough()} | prompt | Model(tracing=tracing)
    chain.invoke("x", {**tracing.config, "max_concurrency": 1})
    assert (
        linked(tracing)
        == """\
RunnableSequence
  RunnableParallel<found,question>
    RunnableSequence
      retrieval
        query
      first
    RunnablePassthrough
  ChatPromptTemplate
  chat
    http"""
    )


async def test_a_streamed_chain(tracing):
    """Prompt, model and parser of a stream stand side by side, with the number of chunks."""
    chain = ChatPromptTemplate.from_template("{x}") | Model(tracing=tracing)
    [_ async for _ in chain.astream({"x": 1}, tracing.config)]
    assert linked(tracing) == "RunnableSequence\n  ChatPromptTemplate\n  chat\n    http"
    attributes = tracing.one("chat").attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["langchain.stream.chunks"] >= 3
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 5


def test_a_batch(tracing):
    """Each call of a batch is a trace of its own."""
    chain = ChatPromptTemplate.from_template("{x}") | Model(tracing=tracing)
    chain.batch([{"x": 1}, {"x": 2}], {**tracing.config, "max_concurrency": 1})
    one = "RunnableSequence\n  ChatPromptTemplate\n  chat\n    http"
    assert linked(tracing) == f"{one}\n{one}"


def test_retries_and_fallbacks(tracing):
    """Tries stand below what tries, each linked to the one before."""

    failing = Model(name="Failing", answer=lambda _: ValueError("no"))
    tried = failing.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    chain = tried.with_fallbacks([Model(tracing=tracing)])
    chain.invoke("x", tracing.config)
    assert (
        linked(tracing)
        == """\
RunnableWithFallbacks
  Failing [error]
    chat [error]
    chat [error] -> chat
  chat -> Failing
    http"""
    )
