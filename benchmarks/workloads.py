"""What the benchmark invokes: each workload is a function of the config that LangChain gets."""

import asyncio
import base64
import operator
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, TypedDict

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph

USAGE = {"input_tokens": 16, "output_tokens": 9, "total_tokens": 25}
TURNS = 20


class Model(BaseChatModel):
    """A model that answers at once."""

    model: str = "bench"
    chunks: int = 1

    @property
    def _llm_type(self) -> str:
        return "bench"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        message = AIMessage("1 + 2 = 3", usage_metadata=USAGE, response_metadata={"stop_reason": "end_turn"})
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _number in range(self.chunks):
            yield ChatGenerationChunk(message=AIMessageChunk(content="word "))


class Caller(Model):
    """A model that calls a tool, until it has 20 results."""

    def bind_tools(self, *_: Any, **__: Any) -> "Caller":
        """Be the same."""
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        results = sum(isinstance(message, ToolMessage) for message in messages)
        calls = [{"name": "look_up", "args": {"key": str(results)}, "id": f"call {results}"}] if results < TURNS else []
        message = AIMessage("word " * 200, tool_calls=calls, usage_metadata=USAGE)
        return ChatResult(generations=[ChatGeneration(message=message)])


@tool
def look_up(key: str) -> str:
    """Look up a key."""
    return f"{key} is found"


class State(TypedDict, total=False):
    """The state of a graph."""

    values: Annotated[list[int], operator.add]
    text: str


def graph(nodes: int) -> Any:
    """Compile a graph whose nodes follow each other."""
    made = StateGraph(State)
    names = [f"node_{number}" for number in range(nodes)]
    for name in names:
        made.add_node(name, lambda _: {"values": [1]})
    for before, after in zip([START, *names], [*names, END], strict=True):
        made.add_edge(before, after)
    return made.compile()


class Workload(NamedTuple):
    """Something to invoke.

    Args:
        invoke: given the config; one that is concurrent runs its own event loop.
        at_once: how many invocations one call makes.
    """

    invoke: Callable[[dict[str, Any]], Any]
    at_once: int = 1


def concurrent(runnable: Any, given: object, times: int) -> Workload:
    """Make a workload of so many invocations at once."""

    async def gather(config: dict[str, Any]) -> None:
        await asyncio.gather(*(runnable.ainvoke(given, config) for _ in range(times)))

    return Workload(lambda config: asyncio.run(gather(config)), times)


def workloads() -> dict[str, Workload]:
    """Make all, by name."""
    chain = ChatPromptTemplate.from_template("What is 1 + {number}?") | Model()
    history = [HumanMessage(f"question {n}, in some twenty words or so " * 15) for n in range(100)]
    streaming, one_chunk, model = Model(chunks=200), Model(), Model()
    ten, twenty = graph(10), graph(20)
    agent = create_agent(Caller(), [look_up])
    image = base64.b64encode(bytes(range(256)) * 4096).decode()
    picture = [HumanMessage([{"type": "image", "base64": image, "mime_type": "image/png"}])]
    return {
        "prompt | model": Workload(lambda config: chain.invoke({"number": "2"}, config)),
        "100-message history": Workload(lambda config: model.invoke(history, config)),
        "stream of 200 chunks": Workload(lambda config: list(streaming.stream("x", config))),
        "graph of 10 nodes": Workload(lambda config: ten.invoke({"values": []}, config)),
        "agent of 20 turns": Workload(
            lambda config: agent.invoke({"messages": "x"}, {**config, "recursion_limit": 99})
        ),
        "100 KB state, 20 nodes": Workload(lambda config: twenty.invoke({"text": "x" * 100_000}, config)),
        "1 MB image": Workload(lambda config: model.invoke(picture, config)),
        "200 ainvoke at once": concurrent(chain, {"number": "2"}, 200),
        "10,000 ainvoke at once": concurrent(chain, {"number": "2"}, 10_000),
        # Beside the table: what a chunk costs, and how the cost of a history grows.
        "stream of 1 chunk": Workload(lambda config: list(one_chunk.stream("x", config))),
        "10-message history": Workload(lambda config: model.invoke(history[:10], config)),
        "1,000-message history": Workload(lambda config: model.invoke(history * 10, config)),
    }


BESIDE = ("stream of 1 chunk", "10-message history", "1,000-message history")
"""Workloads that are no column of the table."""
