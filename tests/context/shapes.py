"""Runnables of every shape, what each takes, and the trace that one call of it leaves."""

from importlib.metadata import version
from typing import Any, NamedTuple

from langchain.agents import create_agent
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel
from langgraph.graph import END, START, StateGraph

from tests.fakes import (
    ASKED,
    AgentModel,
    Completion,
    Model,
    Retriever,
    State,
    SyncModel,
    SyncRetriever,
    body,
    straight_graph,
    tool,
)
from tests.tracing import Tracing


class Shape(NamedTuple):
    """A runnable, what it takes, and the trace of one call of it."""

    runnable: Runnable
    given: Any
    trace: str


def _node(tracing: Tracing, name: str) -> RunnableLambda:
    return body(tracing, f"do {name}", lambda state: {"values": [name]})


def _sequence(t: Tracing) -> Shape:
    chain = ChatPromptTemplate.from_template("{x}") | Model(tracing=t) | body(t, "last")
    return Shape(chain, {"x": 1}, "RunnableSequence\n  ChatPromptTemplate\n  chat\n    http\n  last\n    last work")


def _parallel(t: Tracing) -> Shape:
    chain = RunnableParallel(a=body(t, "a"), b=body(t, "b") | Model(tracing=t))
    return Shape(
        chain,
        "x",
        "RunnableParallel<a,b>\n  RunnableSequence\n    b\n      b work\n    chat\n      http\n  a\n    a work",
    )


def _lambda(t: Tracing) -> Shape:
    return Shape(body(t, "alone"), "x", "alone\n  alone work")


def _nested(t: Tracing) -> Shape:
    inner = ChatPromptTemplate.from_template("{x}") | Model(tracing=t)

    def outer(given):
        t.mark("before")
        answer = inner.invoke(given)
        t.mark("after")
        return answer

    async def aouter(given):
        t.mark("before")
        answer = await inner.ainvoke(given)
        t.mark("after")
        return answer

    expected = "outer\n  before\n  RunnableSequence\n    ChatPromptTemplate\n    chat\n      http\n  after"
    return Shape(RunnableLambda(outer, afunc=aouter, name="outer"), {"x": 1}, expected)


def _model(t: Tracing) -> Shape:
    return Shape(Model(tracing=t), "x", "chat\n  http")


def _sync_model(t: Tracing) -> Shape:
    return Shape(SyncModel(tracing=t), "x", "chat\n  http")


def _sync_model_in_chain(t: Tracing) -> Shape:
    chain = body(t, "first") | SyncModel(tracing=t)
    return Shape(chain, "x", "RunnableSequence\n  first\n    first work\n  chat\n    http")


def _completion_in_chain(t: Tracing) -> Shape:
    chain = body(t, "first") | Completion(tracing=t)
    return Shape(chain, "x", "RunnableSequence\n  first\n    first work\n  text_completion\n    http")


def _tool(t: Tracing) -> Shape:
    return Shape(tool(t), {"x": 1}, "execute_tool look\n  tool work")


def _retriever(t: Tracing) -> Shape:
    return Shape(Retriever(tracing=t), "x", "retrieval\n  query")


def _sync_retriever(t: Tracing) -> Shape:
    return Shape(SyncRetriever(tracing=t), "x", "retrieval\n  query")


def _fallbacks(t: Tracing) -> Shape:
    def fail(given):
        raise ValueError("no")

    chain = body(t, "broken", fail).with_fallbacks([body(t, "spare")])
    expected = "RunnableWithFallbacks\n  broken [error]\n    broken work\n  spare\n    spare work"
    return Shape(chain, "x", expected)


def _retry(t: Tracing) -> Shape:
    attempts: dict[int, int] = {}

    def fail_once(given):
        task = id(given)
        attempts[task] = attempts.get(task, 0) + 1
        if attempts[task] == 1:
            raise ValueError("no")
        return given

    chain = body(t, "shaky", fail_once).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    expected = "shaky\n  shaky [error]\n    shaky work\n  shaky\n    shaky work"
    return Shape(chain, ["x"], expected)


def _graph(t: Tracing) -> Shape:
    graph = straight_graph(
        one=_node(t, "one"), two=body(t, "ask", lambda state: "x") | Model(tracing=t) | _node(t, "two")
    )
    return Shape(
        graph,
        {"values": ["x"]},
        """\
invoke_workflow
  one
    do one
      do one work
  two
    ask
      ask work
    chat
      http
    do two
      do two work""",
    )


def _function_nodes(t: Tracing) -> Shape:
    async def node(state: State) -> State:
        t.mark("node work")
        await Model(tracing=t).ainvoke("x")
        t.mark("more work")
        return {"values": ["a"]}

    def snode(state: State) -> State:
        t.mark("node work")
        Model(tracing=t).invoke("x")
        t.mark("more work")
        return {"values": ["a"]}

    def route(state: State) -> str:
        t.mark("route work")
        return END

    graph = StateGraph(State)
    graph.add_node("node", RunnableLambda(snode, afunc=node, name="body"))
    graph.add_edge(START, "node")
    graph.add_conditional_edges("node", route)
    return Shape(
        graph.compile(),
        {"values": ["x"]},
        """\
invoke_workflow
  node
    body
      node work
      chat
        http
      more work
    route
      route work""",
    )


def _subgraph(t: Tracing) -> Shape:
    inner = straight_graph(deep=_node(t, "deep"))
    outer = straight_graph(sub=inner, after=_node(t, "after"))
    return Shape(
        outer,
        {"values": ["x"]},
        """\
invoke_workflow
  sub
    invoke_workflow
      deep
        do deep
          do deep work
  after
    do after
      do after work""",
    )


def _branches(t: Tracing) -> Shape:
    graph = StateGraph(State)
    for name in ("left", "right"):
        graph.add_node(name, _node(t, name))
        graph.add_edge(START, name)
        graph.add_edge(name, "join")
    graph.add_node("join", _node(t, "join"))
    graph.add_edge("join", END)
    return Shape(
        graph.compile(),
        {"values": ["x"]},
        """\
invoke_workflow
  left
    do left
      do left work
  right
    do right
      do right work
  join
    do join
      do join work""",
    )


# Before 1.3 LangChain does not distinguish an agent from other graphs.
AGENT = "invoke_agent" if version("langchain") >= "1.3" else "invoke_workflow"


def _agent(t: Tracing) -> Shape:
    agent = create_agent(AgentModel(tracing=t), [tool(t)])
    return Shape(
        agent,
        ASKED,
        f"""\
{AGENT}
  model
    chat
      http
  tools
    execute_tool look
      tool work
  model
    chat
      http""",
    )


SHAPES = {
    function.__name__.strip("_"): function
    for function in (
        _sequence,
        _parallel,
        _lambda,
        _nested,
        _model,
        _sync_model,
        _sync_model_in_chain,
        _completion_in_chain,
        _tool,
        _retriever,
        _sync_retriever,
        _fallbacks,
        _retry,
        _graph,
        _function_nodes,
        _subgraph,
        _branches,
        _agent,
    )
}
