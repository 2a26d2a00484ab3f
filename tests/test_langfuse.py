"""Beside Langfuse's own handler our tree is whole, whichever comes first, and if Langfuse is switched off."""

import asyncio
import itertools

import pytest
from langchain.agents import create_agent
from langfuse import Langfuse, observe
from langfuse.langchain import CallbackHandler
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.fakes import AgentModel, tool
from tests.tracing import Tracing, as_text, sorted_text

_keys = (f"pk-{number}" for number in itertools.count())

AGENT = """\
invoke_agent shop
  model
    chat
  tools
    execute_tool look
  model
    chat"""


class BesideLangfuse(Tracing):
    """Traces with Langfuse's handler in the same invocations, on one provider."""

    def __init__(self, *, is_first: bool, is_on: bool) -> None:
        super().__init__()
        self.key = next(_keys)  # Langfuse keeps one client for each
        self.client = Langfuse(
            public_key=self.key,
            secret_key=self.key,
            base_url="http://127.0.0.1:9",
            tracing_enabled=is_on,
            tracer_provider=self.provider,
            span_exporter=InMemorySpanExporter(),
        )
        theirs = CallbackHandler(public_key=self.key)
        self.handlers = [theirs, self.handler] if is_first else [self.handler, theirs]

    @property
    def config(self) -> dict:
        return {"callbacks": self.handlers}

    @property
    def ours(self) -> str:
        """Our own spans as a text."""
        return as_text(tuple(span for span in self.spans if span.instrumentation_scope.name == "runspan"))


@pytest.fixture(
    params=[(False, True), (True, True), (False, False), (True, False)],
    ids=["ours_first", "theirs_first", "ours_first_theirs_off", "theirs_first_and_off"],
)
def beside(request):
    """Trace beside Langfuse's handler, in either order, switched on or off."""
    is_first, is_on = request.param
    tracing = BesideLangfuse(is_first=is_first, is_on=is_on)
    yield tracing
    tracing.settle()
    tracing.client.shutdown()


def _agent(tracing: Tracing):
    return create_agent(AgentModel(tracing=tracing), [tool(tracing)], name="shop")


ASKED = {"messages": [("user", "look")]}


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_an_agent(beside, way):
    """Each of our spans is below the run of ours that it belongs to."""
    agent = _agent(beside)
    match way:
        case "invoke":
            agent.invoke(ASKED, beside.config)
        case "ainvoke":
            await agent.ainvoke(ASKED, beside.config)
        case "stream":
            for _ in agent.stream(ASKED, beside.config):
                pass
        case "astream":
            async for _ in agent.astream(ASKED, beside.config):
                pass
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
