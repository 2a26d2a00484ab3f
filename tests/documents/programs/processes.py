"""docs/processes.md."""

import asyncio

from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph
from opentelemetry.trace import get_current_span

import runspan
from tests.documents.code_blocks import run_blocks

with runspan.configure():
    chain, question = RunnableLambda(len, name="answer"), "the question"
    handler, carrier = runspan.OpenTelemetryCallbackHandler(), {}

    def node(state: MessagesState) -> dict:
        """Check that the trace goes on here."""
        assert get_current_span().get_span_context().trace_id == int("1" * 32, 16)
        return {}

    builder = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")
    compiled = builder.compile().with_config(callbacks=[handler])
    run_blocks("docs/processes.md", globals())

    async def serve() -> None:
        """Run the graph as a LangGraph server does, in a context without the caller."""
        config = {"configurable": {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}}
        async with globals()["graph"](config) as graph:
            await graph.ainvoke({"messages": ["hello"]}, config)

    asyncio.run(serve())
