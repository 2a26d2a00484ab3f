"""Fakes that several tests run: chat and completion models, retrievers, embeddings, a tool, a chain's body, graphs.

What does work leaves a span where an instrumented client would, so that a trace shows what is current there: ``http``
for a model's request, ``query`` for a retriever's, ``tool work``, and ``<name> work`` for a body. Without ``tracing`` a
model or retriever leaves none.
"""

import asyncio
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Annotated, Any, TypedDict

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation, LLMResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel

from tests.tracing import Tracing
from tests.waiting import hang


class SyncModel(BaseChatModel):
    """A chat model that knows nothing of async or streams.

    Args:
        tracing: where it leaves its spans.
        before: is called first, in the model's own frame; what it raises the model raises.
        answer: a text, a message, an exception to raise, or a function of the messages that returns one of these.
        usage: the usage of the answer.
        params: its identifying parameters, such as ``{"model": "m-1"}``, or None.
    """

    tracing: Any = None
    before: Any = None
    answer: Any = "three"
    usage: Any = None
    params: Any = None

    @property
    def _llm_type(self) -> str:
        return "test"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return self.params or {}

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        message = self._message(messages)
        _mark(self.tracing, "http")
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _message(self, messages: list[BaseMessage]) -> AIMessage:
        if self.before is not None:
            self.before()
        answer = self.answer(messages) if callable(self.answer) else self.answer
        if isinstance(answer, BaseException):
            raise answer
        message = AIMessage(answer) if isinstance(answer, str) else answer
        return message.model_copy(update={"usage_metadata": self.usage}) if self.usage else message


class SyncStreamModel(SyncModel):
    """A chat model that streams, but not asynchronously.

    Args:
        chunk_spans: of a stream, whether it leaves a span ``chunk`` for each chunk in place of ``http`` for all.
    """

    chunk_spans: bool = False

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            self._mark_chunk()
            yield chunk

    def _chunks(self, messages: list[BaseMessage]) -> list[ChatGenerationChunk]:
        message = self._message(messages)
        if not self.chunk_spans:
            _mark(self.tracing, "http")
        return [ChatGenerationChunk(message=chunk) for chunk in _chunks(message)]

    def _mark_chunk(self) -> None:
        if self.chunk_spans:
            _mark(self.tracing, "chunk")


class Model(SyncStreamModel):
    """A chat model that speaks every way.

    Args:
        hangs_after: the number of chunks after which an asynchronous call waits for ever, see ``tests.waiting``; one
            that does not stream waits whatever the number. None: it does not.
    """

    hangs_after: int | None = None

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(0)
        result = self._generate(messages)
        await (asyncio.sleep(0) if self.hangs_after is None else hang())
        return result

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs) -> AsyncIterator[ChatGenerationChunk]:
        await asyncio.sleep(0)
        for number, chunk in enumerate(self._chunks(messages)):
            await (hang() if number == self.hangs_after else asyncio.sleep(0))
            self._mark_chunk()
            yield chunk


# What an agent is asked, and what a model may have used.
ASKED = {"messages": [("user", "look")]}
USAGE = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}


def look_then_answer(messages: list[BaseMessage]) -> AIMessage:
    """Call the tool ``look`` until its answer is the last message."""
    if isinstance(messages[-1], ToolMessage):
        return AIMessage("three")
    return AIMessage("", tool_calls=[{"name": "look", "args": {"x": 1}, "id": "call_1"}])


class AgentModel(Model):
    """A model that calls the tool ``look`` until it has the tool's answer."""

    answer: Any = look_then_answer


class Completion(BaseLLM):
    """A completion model that knows nothing of async or streams.

    Args:
        tracing: where it leaves its spans.
        generation_info: what comes with each text.
        llm_output: what comes with the whole call.
    """

    tracing: Any = None
    generation_info: Any = None
    llm_output: Any = None

    @property
    def _llm_type(self) -> str:
        return "test"

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        _mark(self.tracing, "http")
        generations = [[Generation(text="three", generation_info=self.generation_info)] for _ in prompts]
        return LLMResult(generations=generations, llm_output=self.llm_output)


class SyncRetriever(BaseRetriever):
    """A retriever that knows nothing of async.

    Args:
        tracing: where it leaves its spans.
        found: a tuple of documents, or an exception to raise.
    """

    tracing: Any = None
    found: Any = (Document("a"),)

    def _get_relevant_documents(self, query, *, run_manager):
        if isinstance(self.found, BaseException):
            raise self.found
        _mark(self.tracing, "query")
        return list(self.found)


class Retriever(SyncRetriever):
    """A retriever that knows async.

    Args:
        hangs: whether an asynchronous call waits for ever.
    """

    hangs: bool = False

    async def _aget_relevant_documents(self, query, *, run_manager):
        await asyncio.sleep(0)
        found = self._get_relevant_documents(query, run_manager=run_manager)
        await (hang() if self.hangs else asyncio.sleep(0))
        return found


class PlainEmbeddings(Embeddings):
    """Embeddings of no provider: 0.5 for every text."""

    def embed_documents(self, texts):
        return [[0.5] for _ in texts]

    def embed_query(self, text):
        return [0.5]


def tool(tracing: Tracing) -> StructuredTool:
    """Make the tool ``look``, sync and async."""

    def look(x: int = 0) -> str:
        tracing.mark("tool work")
        return "seen"

    async def alook(x: int = 0) -> str:
        await asyncio.sleep(0)
        return look(x)

    return StructuredTool.from_function(look, coroutine=alook, name="look", description="Looks.")


def body(tracing: Tracing, name: str, then: Callable[[Any], Any] = lambda x: x) -> RunnableLambda:
    """Make a lambda, sync and async, whose body leaves a span and returns what ``then`` makes of its input."""

    def run(given):
        tracing.mark(f"{name} work")
        return then(given)

    async def arun(given):
        await asyncio.sleep(0)
        tracing.mark(f"{name} work")
        await asyncio.sleep(0)
        return then(given)

    return RunnableLambda(run, afunc=arun, name=name)


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


def _mark(tracing: Tracing | None, name: str) -> None:
    if tracing is not None:
        tracing.mark(name)


def _chunks(message: AIMessage) -> list[AIMessageChunk]:
    if not message.tool_calls:
        last = AIMessageChunk(content="ee", usage_metadata=message.usage_metadata)
        return [AIMessageChunk(content="th"), AIMessageChunk(content="r"), last]
    calls = [
        {"name": call["name"], "args": "{}", "id": call["id"], "index": index}
        for index, call in enumerate(message.tool_calls)
    ]
    return [AIMessageChunk(content="", tool_call_chunks=calls)]
