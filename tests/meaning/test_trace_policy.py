"""LangGraph's ``TracePolicy`` decides what tracers and spans have of a node, and nothing else."""

import asyncio

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, TracePolicy, omit_payload
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.base import BaseTracer

from runspan import OpenTelemetryCallbackHandler, Settings
from tests.fakes import ASKED, Model
from tests.tracing import Tracing

NODE = "Quiet.before_model"


class Quiet(AgentMiddleware):
    """A middleware whose node is not to be recorded."""

    trace_policy = TracePolicy(process_inputs=omit_payload, process_outputs=omit_payload)

    def before_model(self, state, runtime):
        return {"seen": True}


class Loud(Quiet):
    """A middleware whose policy fails."""

    name = "Quiet"
    trace_policy = TracePolicy(process_inputs=lambda _: 1 / 0, process_outputs=lambda _: 1 / 0)


class Tracer(BaseTracer):
    """One of LangChain's tracers, with what it got of the node."""

    def __init__(self) -> None:
        super().__init__()
        self.got = None

    def _persist_run(self, run):
        pass

    def _on_chain_end(self, run):
        if run.name == NODE:
            self.got = run.inputs, run.outputs


class Plain(BaseCallbackHandler):
    """A handler that is no tracer."""

    def __init__(self) -> None:
        self.got = None

    def on_chain_start(self, serialized, inputs, *, name=None, **event):
        if name == NODE:
            self.got = inputs


def invoke(agent, config):
    agent.invoke(ASKED, config)


def ainvoke(agent, config):
    asyncio.run(agent.ainvoke(ASKED, config))


@pytest.mark.parametrize("run", [invoke, ainvoke])
@pytest.mark.parametrize("middleware", [Quiet, Loud])
def test_listeners_hear_what_they_would_from_langchain(run, middleware):
    """A tracer gets what the policy leaves, another handler the node's own values; a policy that fails leaves all."""
    agent = create_agent(Model(), [], middleware=[middleware()])
    direct = Tracer(), Plain()
    run(agent, {"callbacks": list(direct)})
    through = Tracer(), Plain()
    run(agent, {"callbacks": [OpenTelemetryCallbackHandler(callbacks=through)]})
    assert (through[0].got == ({}, {})) is (middleware is Quiet)
    assert [_shape(each.got) for each in through] == [_shape(each.got) for each in direct]


def _shape(value):
    """Return a value without the ids that LangGraph gives to messages."""
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shape(each) for each in value]
    return getattr(value, "content", value)


@pytest.mark.parametrize("run", [invoke, ainvoke])
def test_a_span_has_what_the_policy_leaves(run):
    """Inputs and outputs on the span of the node are those that its policy leaves, its neighbours' are whole."""
    tracing = Tracing(Settings(capture_chains=True))
    run(create_agent(Model(), [], middleware=[Quiet()]), tracing.config)
    node = tracing.one(NODE).attributes
    assert (node["input.value"], node["output.value"]) == ("{}", "{}")
    assert "look" in tracing.one("model").attributes["input.value"]
