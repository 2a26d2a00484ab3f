"""A tool that asks an MCP server in another process, by a session that is held: one trace across both.

    pip install runspan 'mcp>=2'
    python examples/mcp_tools.py

MCP's SDK writes and reads the headers by itself. Spans go to OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import asyncio
import os
import sys

import opentelemetry.trace
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver import MCPServer

import runspan

server = MCPServer("weather")


@server.tool()
async def weather(city: str) -> str:
    """Tell the weather of a city."""
    config = {"callbacks": [runspan.OpenTelemetryCallbackHandler()]}
    found = await RunnableLambda(lambda city: f"sunny in {city}", name="look up").ainvoke(city, config)
    opentelemetry.trace.get_tracer_provider().force_flush()  # who started this process ends it at once
    return found


async def ask() -> None:
    """Ask the server within a tool of LangChain's."""
    parameters = StdioServerParameters(command=sys.executable, args=[__file__, "serve"], env=dict(os.environ))
    async with Client(parameters) as session:

        async def weather_of(city: str) -> str:
            """Tell the weather of a city."""
            result = await session.call_tool("weather", {"city": city})
            return result.content[0].text

        tool = StructuredTool.from_function(coroutine=weather_of, name="weather")
        print(await tool.ainvoke({"city": "Oslo"}, {"callbacks": [runspan.OpenTelemetryCallbackHandler()]}))


if __name__ == "__main__":
    with runspan.configure(service_name="mcp-tools"):
        server.run() if sys.argv[1:] == ["serve"] else asyncio.run(ask())
