"""An MCP server with a tool that runs a chain, over standard input and output or over HTTP."""

import os

import opentelemetry.trace
from mcp.server.mcpserver import Context, MCPServer
from shared import chain

server = MCPServer("weather")


@server.tool()
async def weather(city: str, context: Context) -> str:
    """Tell the weather."""
    await chain("looked up").ainvoke(city)
    opentelemetry.trace.get_tracer_provider().force_flush()
    return " ".join(sorted(context.request_context.meta or {}))


if port := os.environ.get("PORT"):
    server.run("streamable-http", port=int(port))
else:
    server.run()
