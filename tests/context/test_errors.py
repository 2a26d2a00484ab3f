"""Runs that raise."""

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool as make_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from tests.fakes import Model, State, SyncModel, body


@make_tool
def broken(x: str) -> str:
    """Raise."""
    raise ValueError("no such thing")


@make_tool
def stopped(x: str) -> str:
    """Raise what is no Exception."""
    raise KeyboardInterrupt


@pytest.mark.usefixtures("quiet")
def test_an_error_is_on_each_run_it_went_through(tracing):
    """The run that raised and those above it have status ERROR, the type and the message; the others have not."""
    with pytest.raises(ValueError, match="no such thing"):
        (body(tracing, "first") | broken).invoke("x", tracing.config)
    tracing.mark("caller")
    assert tracing.text() == (
        "RunnableSequence [error]\n  first\n    first work\n  execute_tool broken [error]\ncaller"
    )
    span = tracing.one("execute_tool broken")
    assert span.attributes["error.type"] == "ValueError"
    assert span.status.description == "no such thing"


@pytest.mark.usefixtures("quiet")
def test_an_interrupt_from_the_keyboard_ends_the_runs(tracing):
    """KeyboardInterrupt inside a tool ends the tool and all above it."""
    with pytest.raises(KeyboardInterrupt):
        (body(tracing, "first") | stopped).invoke("x", tracing.config)
    assert tracing.text() == ("RunnableSequence [error]\n  first\n    first work\n  execute_tool stopped [error]")
    assert tracing.one("execute_tool stopped").attributes["error.type"] == "KeyboardInterrupt"
    assert tracing.handler.open_runs == 0


@pytest.mark.usefixtures("quiet")
async def test_a_model_that_fails_asynchronously(tracing):
    """An error of a model in a thread is on the model and the chain."""
    with pytest.raises(ConnectionError):
        await (body(tracing, "first") | SyncModel(answer=ConnectionError("refused"))).ainvoke("x", tracing.config)
    assert tracing.text() == "RunnableSequence [error]\n  first\n    first work\n  chat [error]"
    assert tracing.one("chat").attributes["error.type"] == "ConnectionError"


@pytest.mark.usefixtures("quiet")
def test_an_error_that_the_user_handles_stays_inside(tracing):
    """A run that catches the error of a run within it is no failure itself."""

    def careful(x):
        try:
            return broken.invoke("x")
        except ValueError:
            return Model(tracing=tracing).invoke("x")

    RunnableLambda(careful, name="careful").invoke("x", tracing.config)
    assert tracing.text() == "careful\n  execute_tool broken [error]\n  chat\n    http"


@pytest.mark.usefixtures("quiet")
def test_an_interrupted_graph_is_no_failure(tracing):
    """A node that asks a human ends as interrupted; the graph, and its resumption, are in order."""

    def ask(state: State) -> State:
        return {"values": [interrupt("may I?")]}

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    compiled = graph.compile(checkpointer=InMemorySaver())
    config = {**tracing.config, "configurable": {"thread_id": "1"}}
    compiled.invoke({"values": []}, config)
    compiled.invoke(Command(resume="yes"), config)
    # LangGraph tells that the graph itself waits from 1.1.10 on, see tests/meaning.
    text = tracing.text().replace("invoke_workflow [interrupted]", "invoke_workflow")
    assert text == "invoke_workflow\n  ask [interrupted]\ninvoke_workflow\n  ask"
    assert tracing.named("ask")[0].attributes["langgraph.node"] == "ask"
    assert tracing.named("ask")[0].attributes["langgraph.step"] == 1
