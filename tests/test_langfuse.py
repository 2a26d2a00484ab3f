"""Beside Langfuse's own handler our tree is whole, whichever comes first, and if Langfuse is switched off."""

import asyncio
import itertools

import pytest
from langchain.agents import create_agent
from langfuse import Langfuse, observe
from langfuse.langchain import CallbackHandler
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.context.beside import EITHER_ORDER, Beside
from tests.context.shapes import Shape
from tests.context.ways import ainvoke, astream, call, invoke, stream
from tests.fakes import ASKED, AgentModel, tool
from tests.tracing import Tracing, sorted_text

_keys = (f"pk-{number}" for number in itertools.count())

AGENT = """\
invoke_agent shop
  model
    chat
  tools
    execute_tool look
  model
    chat"""


class BesideLangfuse(Beside):
    """Traces with Langfuse's handler."""

    def make_other(self, *, is_on: bool) -> CallbackHandler:
        self.key = next(_keys)  # Langfuse keeps one client for each
        self.client = Langfuse(
            public_key=self.key,
            secret_key=self.key,
            base_url="http://127.0.0.1:9",
            tracing_enabled=is_on,
            tracer_provider=self.provider,
            span_exporter=InMemorySpanExporter(),
        )
        return CallbackHandler(public_key=self.key)


@pytest.fixture(**EITHER_ORDER)
def beside(request):
    """Trace beside Langfuse's handler, in either order, switched on or off."""
    is_first, is_on = request.param
    tracing = BesideLangfuse(is_first=is_first, is_on=is_on)
    yield tracing
    tracing.settle()
    tracing.client.shutdown()


def _agent(tracing: Tracing):
    return create_agent(AgentModel(tracing=tracing), [tool(tracing)], name="shop")


@pytest.mark.parametrize("way", [invoke, ainvoke, stream, astream])
async def test_an_agent(beside, way):
    """Each of our spans is below the run of ours that it belongs to."""
    await call(way, beside, Shape(_agent(beside), ASKED, AGENT))
    assert beside.ours == AGENT


async def test_agents_one_after_the_other(beside):
    """Langfuse leaves its span in the context of an async invocation: the next is a trace of its own all the same."""
    for _ in range(2):
        await _agent(beside).ainvoke(ASKED, beside.config)
    await asyncio.gather(*(_agent(beside).ainvoke(ASKED, beside.config) for _ in range(2)))
    assert sorted_text(beside.ours) == sorted_text("\n".join([AGENT] * 4))


def test_what_langfuse_observes_is_the_users(beside):
    """A span that the user has Langfuse make around an invocation is the parent of that."""
    agent = _agent(beside)

    @observe(name="request")
    def request() -> None:
        agent.invoke(ASKED, beside.config)

    request(langfuse_public_key=beside.key)
    root = beside.one("invoke_agent shop")
    parents = [root.parent.span_id] if root.parent is not None else []
    assert parents == [span.context.span_id for span in beside.named("request")]  # none if Langfuse is off
