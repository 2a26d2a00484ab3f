"""Graphs that wait for their user: no failure, and the run that goes on links to the one that waited."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langgraph.callbacks import GraphCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

import runspan
import runspan.testing
from runspan import OpenTelemetryCallbackHandler
from tests.fakes import ASKED, AgentModel, straight_graph, tool
from tests.otlp_receivers import HttpReceiver

pytestmark = pytest.mark.newest

PROGRAM = Path(__file__).parent / "approval_program.py"


def approval(saver):
    def ask(state):
        return {"values": [interrupt("sure?")]}

    graph = straight_graph(ask=ask)
    graph.checkpointer = saver
    graph.name = "approval"
    return graph


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_graph_that_is_resumed(tracing, way):
    """The interrupted run says where it waits; the resumed one where it goes on, and links to it."""
    graph = approval(InMemorySaver())
    config = {**tracing.config, "configurable": {"thread_id": "t1"}}
    for given in ({"values": ["a"]}, Command(resume="yes")):
        graph.invoke(given, config) if way == "sync" else await graph.ainvoke(given, config)
    waited, resumed = tracing.named("invoke_workflow approval")
    assert waited.status.is_ok
    assert waited.events == ()
    assert waited.attributes["langchain.run.outcome"] == "interrupted"
    assert waited.attributes["langgraph.checkpoint.id"] == resumed.attributes["langgraph.checkpoint.id"]
    assert "langchain.run.outcome" not in resumed.attributes
    assert waited.links == ()
    assert [(link.context, link.attributes) for link in resumed.links] == [
        (waited.context, {"langchain.link.type": "resumed_from"})
    ]
    assert waited.attributes["gen_ai.conversation.id"] == resumed.attributes["gen_ai.conversation.id"] == "t1"
    assert [span.attributes.get("langchain.run.outcome") for span in tracing.named("ask")] == ["interrupted", None]


@contextlib.contextmanager
def instrumented(tracing):
    runspan.instrument(tracer_provider=tracing.provider)
    try:
        yield tracing
    finally:
        runspan.uninstrument()


@contextlib.contextmanager
def traced(tracing):
    with runspan.testing.Trace(tracer_provider=tracing.provider):
        yield tracing


@pytest.mark.parametrize("beside", [None, [BaseCallbackHandler()]], ids=["alone", "beside another"])
@pytest.mark.parametrize("added", [instrumented, traced])
@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_handler_that_is_not_passed(tracing, way, added, beside):
    """The same holds where LangChain adds the handler to runs; the callbacks that were passed stay as they are."""
    graph = approval(InMemorySaver())
    config = {"callbacks": beside, "configurable": {"thread_id": "t1"}}
    with added(tracing):
        for given in ({"values": ["a"]}, Command(resume="yes")):
            graph.invoke(given, config) if way == "sync" else await graph.ainvoke(given, config)
    assert tracing.trace.tree(links=True) == (
        "invoke_workflow approval [interrupted]\n  ask [interrupted]\n"
        "invoke_workflow approval -> invoke_workflow approval\n  ask"
    )
    assert beside is None or len(beside) == 1


def test_two_threads_at_once(tracing):
    """Each resumed run links to its own."""
    graph = approval(InMemorySaver())
    for thread in ("t1", "t2"):
        graph.invoke({"values": ["a"]}, {**tracing.config, "configurable": {"thread_id": thread}})
    for thread in ("t2", "t1"):
        graph.invoke(Command(resume="yes"), {**tracing.config, "configurable": {"thread_id": thread}})
    one, two, two_again, one_again = tracing.named("invoke_workflow approval")
    assert [link.context for link in two_again.links] == [two.context]
    assert [link.context for link in one_again.links] == [one.context]


def test_handlers_of_langgraphs_kind(tracing):
    """A graph handler that runspan drives hears of interrupts as one does that LangGraph drives."""

    class Noting(GraphCallbackHandler):
        def __init__(self):
            self.noted = []

        def on_interrupt(self, event):
            self.noted.append(("interrupt", event))

        def on_resume(self, event):
            self.noted.append(("resume", event))

    native, driven = Noting(), Noting()
    handler = OpenTelemetryCallbackHandler(callbacks=[driven], tracer_provider=tracing.provider)
    graph = approval(InMemorySaver())
    config = {"callbacks": [native, handler], "configurable": {"thread_id": "t1"}}
    graph.invoke({"values": ["a"]}, config)
    graph.invoke(Command(resume="yes"), config)
    assert driven.noted == native.noted
    assert [name for name, _ in driven.noted] == ["interrupt", "resume"]


def test_an_agent_in_a_graph_that_waits(tracing):
    """An interrupt inside an agent's tool is no failure of the tool, the agent or the graph."""

    def look(x: int = 0) -> str:
        return interrupt("sure?")

    waiting = tool(tracing)
    waiting.func = look
    agent = create_agent(AgentModel(tracing=tracing), [waiting], name="helper", checkpointer=InMemorySaver())
    config = {**tracing.config, "configurable": {"thread_id": "t1"}}
    agent.invoke(ASKED, config)
    agent.invoke(Command(resume="seen"), config)
    assert {span.name for span in tracing.spans if not span.status.is_ok} == set()
    first, second = tracing.named("invoke_agent helper")
    assert [link.context for link in second.links] == [first.context]


def test_another_process(tmp_path):
    """A process that knows only the thread links to the span that waited in another one."""
    with HttpReceiver() as receiver:
        for step in ("ask", "answer"):
            command = [sys.executable, str(PROGRAM), step, str(tmp_path / "checkpoints"), receiver.endpoint]
            subprocess.run(command, timeout=60, check=True)
        spans = [parts[2] for parts in receiver.spans if parts[2].name == "invoke_workflow approval"]
    waited, resumed = spans
    assert [(link.trace_id, link.span_id) for link in resumed.links] == [(waited.trace_id, waited.span_id)]


def test_what_is_no_checkpointer():
    """It is named."""
    with pytest.raises(TypeError, match="checkpointer is 7; it must be one of LangGraph's checkpoint savers"):
        runspan.link_resumes(7)
    saver = InMemorySaver()
    assert runspan.link_resumes(runspan.link_resumes(saver)) is saver
    assert isinstance(saver, InMemorySaver)
