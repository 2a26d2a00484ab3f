"""What is sent to the backends: calls as users write them, whose models are fakes."""

import contextlib
from typing import Annotated, TypedDict

from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt

from tests.fakes import Model, Retriever

# Cached tokens are part of those that went in.
USAGE = {
    "input_tokens": 1000,
    "output_tokens": 50,
    "total_tokens": 1050,
    "input_token_details": {"cache_read": 300, "cache_creation": 600},
    "output_token_details": {"reasoning": 20},
}
DOCUMENTS = (Document("sunny", id="d1", metadata={"score": 0.5}), Document("dry"))


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is sunny in {city}."


def ask_then_answer(messages):
    """Ask for the weather, until the tool has told it."""
    if isinstance(messages[-1], ToolMessage):
        return AIMessage("Sunny!")
    return AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Paris"}, "id": "call_1"}])


def agent(config):
    """Ask an agent that has a tool."""
    made = create_agent(Model(answer=ask_then_answer, usage=USAGE), [weather], name="helper")
    made.invoke({"messages": [("user", "Weather in Paris?")]}, config)


class State(TypedDict):
    """The state of the graph."""

    messages: Annotated[list[AnyMessage], add_messages]


def approval(config):
    """Run a graph that waits for its user, and the answer of that."""

    def plan(state: State):
        return {"messages": [Model(answer="I would sell.", usage=USAGE).invoke(state["messages"])]}

    def ask(state: State):
        return {"messages": [("user", interrupt("Sell?"))]}

    graph = StateGraph(State)
    graph.add_node("plan", plan)
    graph.add_node("ask", ask)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "ask")
    graph.add_edge("ask", END)
    made = graph.compile(checkpointer=InMemorySaver(), name="approval")
    made.invoke({"messages": [("user", "What now?")]}, config)
    made.invoke(Command(resume="Yes."), config)


def chain(**model):
    """Make a chain of a prompt and a model."""
    return ChatPromptTemplate.from_template("About {topic}.") | Model(**model)


def stream(config):
    """Read a stream to its end."""
    list(chain(usage=USAGE).stream({"topic": "cats"}, config))


def left_stream(config):
    """Read the first chunk of a model's answer and no more."""
    next(Model(usage=USAGE).stream("Count.", config))


def retrieval(config):
    """Search, and find one document with an id and a score, and one without."""
    Retriever(found=DOCUMENTS).invoke("weather", config)


def failure(config):
    """Ask a model that fails."""
    with contextlib.suppress(ValueError):
        chain(answer=ValueError("overloaded")).invoke({"topic": "cats"}, config)
