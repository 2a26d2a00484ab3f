"""Runnables of every shape, whose bodies leave spans that show what is current there."""

import asyncio
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, TypedDict

from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel

from tests.tracing import Tracing


class SyncModel(BaseChatModel):
    """A model that knows nothing of async or streams."""

    tracing: Any

    @property
    def _llm_type(self) -> str:
        return "test"

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        return AIMessage("three")

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.tracing.mark("http")
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])


class Model(SyncModel):
    """A model that speaks every way."""

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(0)
        self.tracing.mark("http")
        await asyncio.sleep(0)
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        self.tracing.mark("http")
        yield from _chunks(self._answer(messages))

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs) -> AsyncIterator[ChatGenerationChunk]:
        await asyncio.sleep(0)
        self.tracing.mark("http")
        for chunk in _chunks(self._answer(messages)):
            await asyncio.sleep(0)
            yield chunk


class SyncStreamModel(SyncModel):
    """A model that streams, but not asynchronously, and opens a span for each chunk."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(self._answer(messages)):
            self.tracing.mark("chunk")
            yield chunk


class ChattyModel(SyncStreamModel, Model):
    """A model that opens a span for each chunk, speaking every way."""

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self._answer(messages)):
            await asyncio.sleep(0)
            self.tracing.mark("chunk")
            yield chunk


class AgentModel(Model):
    """A model that asks for the tool until it has the tool's answer."""

    def bind_tools(self, tools, **kwargs):
        return self

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        if isinstance(messages[-1], ToolMessage):
            return AIMessage("three")
        return AIMessage("", tool_calls=[{"name": "look", "args": {"x": 1}, "id": "call_1"}])


class Completion(BaseLLM):
    """A completion model."""

    tracing: Any

    @property
    def _llm_type(self) -> str:
        return "test"

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        self.tracing.mark("http")
        return LLMResult(generations=[[Generation(text="three")] for _ in prompts])


class Retriever(BaseRetriever):
    """A retriever that knows async."""

    tracing: Any

    def _get_relevant_documents(self, query, *, run_manager):
        self.tracing.mark("query")
        return [Document("a")]

    async def _aget_relevant_documents(self, query, *, run_manager):
        await asyncio.sleep(0)
        self.tracing.mark("query")
        return [Document("a")]


class SyncRetriever(BaseRetriever):
    """A retriever that does not."""

    tracing: Any

    def _get_relevant_documents(self, query, *, run_manager):
        self.tracing.mark("query")
        return [Document("a")]


def _chunks(message: AIMessage) -> list[ChatGenerationChunk]:
    if message.tool_calls:
        chunk = AIMessageChunk(
            content="",
            tool_call_chunks=[
                {"name": call["name"], "args": "{}", "id": call["id"], "index": index}
                for index, call in enumerate(message.tool_calls)
            ],
        )
        return [ChatGenerationChunk(message=chunk)]
    return [ChatGenerationChunk(message=AIMessageChunk(content=text)) for text in ("th", "r", "ee")]


class State(TypedDict, total=False):
    """The state of the graphs."""

    values: Annotated[list[Any], operator.add]


def straight_graph(**nodes: Any) -> Pregel:
    """Make a graph of nodes that follow each other."""
    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    for before, after in pairwise([START, *nodes, END]):
        graph.add_edge(before, after)
    return graph.compile()


class Shape(NamedTuple):
    """A runnable, what it takes, and the trace of one call of it."""

    runnable: Runnable
    given: Any
    trace: str


def body(tracing: Tracing, name: str, then: Callable[[Any], Any] = lambda x: x) -> RunnableLambda:
    """Make a lambda, sync and async, whose body leaves a span."""

    def run(given):
        tracing.mark(f"{name} work")
        return then(given)

    async def arun(given):
        await asyncio.sleep(0)
        tracing.mark(f"{name} work")
        await asyncio.sleep(0)
        return then(given)

    return RunnableLambda(run, afunc=arun, name=name)


def tool(tracing: Tracing) -> StructuredTool:
    """Make a tool, sync and async."""

    def look(x: int = 0) -> str:
        tracing.mark("tool work")
        return "seen"

    async def alook(x: int = 0) -> str:
        await asyncio.sleep(0)
        tracing.mark("tool work")
        return "seen"

    return StructuredTool.from_function(look, coroutine=alook, name="look", description="Looks.")


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
    tries: dict[int, int] = {}

    def fail_once(given):
        task = id(given)
        tries[task] = tries.get(task, 0) + 1
        if tries[task] == 1:
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


# Before 1.3 LangChain does not tell an agent from other graphs.
AGENT = "invoke_agent" if version("langchain") >= "1.3" else "invoke_workflow"


def _agent(t: Tracing) -> Shape:
    agent = create_agent(AgentModel(tracing=t), [tool(t)])
    return Shape(
        agent,
        {"messages": [("user", "look")]},
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
