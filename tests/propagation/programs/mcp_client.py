"""Calls tools of an MCP server as tools of LangChain's, by a session that is held."""

import asyncio
import os
import sys

from langchain_core.tools import StructuredTool
from mcp import Client, StdioServerParameters
from opentelemetry import baggage, context
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from shared import CONFIG, handle

import runspan


async def main(server):
    """Call two tools at once, and one of a trace that comes from elsewhere, with a state of a vendor's."""
    async with Client(server) as session:

        async def weather(city: str) -> str:
            """Tell the weather."""
            result = await session.call_tool("weather", {"city": city})
            return result.content[0].text

        tool = StructuredTool.from_function(coroutine=weather, name="weather")
        context.attach(baggage.set_baggage("tenant", "acme"))
        print(*await asyncio.gather(*(tool.ainvoke({"city": city}, CONFIG) for city in ("Oslo", "Rome"))), sep="\n")
        with runspan.extract({"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "vendor=1"}):
            print(await tool.ainvoke({"city": "Bonn"}, CONFIG))


HTTPX2ClientInstrumentor().instrument()
target = sys.argv[1]
if not target.startswith("http"):
    target = StdioServerParameters(command=sys.executable, args=[target], env=dict(os.environ))
asyncio.run(main(target))
handle.shutdown()
