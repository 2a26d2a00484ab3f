"""What langgraph.json names: a graph with a handler, and the same below the run that calls it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph

import runspan

runspan.configure()
builder = StateGraph(MessagesState).add_node("node", lambda _: {"messages": [("assistant", "hi")]})
builder.add_edge(START, "node")
plain = compiled = builder.compile().with_config(callbacks=[runspan.OpenTelemetryCallbackHandler()])


@asynccontextmanager
async def below_its_caller(config: RunnableConfig) -> AsyncIterator[CompiledStateGraph]:
    """Give the graph to a run."""
    with runspan.extract(config.get("configurable")):
        yield compiled
