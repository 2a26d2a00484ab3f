"""Tools of an MCP server by langchain-mcp-adapters, whose MCP SDK is older than 2.0: one trace across both processes.

    pip install runspan langchain-mcp-adapters opentelemetry-instrumentation-httpx
    python examples/mcp_adapters.py                                # starts its server, over standard input and output
    python examples/mcp_adapters.py serve 8000                     # a server over HTTP, and
    python examples/mcp_adapters.py ask http://127.0.0.1:8000/mcp  # who asks it

That SDK carries no headers by itself. Spans go to OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator

import httpx
import opentelemetry.trace
from langchain_core.runnables import RunnableLambda
from langchain_mcp_adapters.tools import load_mcp_tools
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.fastmcp import Context, FastMCP
from mcp.types import CallToolResult
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

import runspan


class TracedSession(ClientSession):
    """Sends the headers of the tool that asks in ``_meta``."""

    async def call_tool(self, *args: object, **options: object) -> CallToolResult:
        """Call a tool."""
        return await super().call_tool(*args, **{**options, "meta": runspan.inject({})})


class RequestsUnderTheirTool(httpx.AsyncHTTPTransport):
    """Sends each request in the context of the tool that asks; a session's own task sends them all."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of one that calls a tool has the headers."""
        message = json.loads(request.content) if request.method == "POST" else {}
        with runspan.extract(message.get("params", {}).get("_meta")):
            return await super().handle_async_request(request)


server = FastMCP("weather", log_level="WARNING")


def headers_of(context: Context) -> dict[str, object]:
    """Return the headers that a request came with: those of HTTP, and those in its ``_meta``, which win."""
    request, meta = context.request_context.request, context.request_context.meta
    return {**(request.headers if request is not None else {}), **(meta.model_dump() if meta is not None else {})}


@server.tool()
async def weather(city: str, context: Context) -> str:
    """Tell the weather of a city."""
    with runspan.extract(headers_of(context)):
        config = {"callbacks": [runspan.OpenTelemetryCallbackHandler()]}
        found = await RunnableLambda(lambda city: f"sunny in {city}", name="look up").ainvoke(city, config)
    opentelemetry.trace.get_tracer_provider().force_flush()  # who started this process may end it at once
    return found


@contextlib.asynccontextmanager
async def session_with(url: str | None) -> AsyncIterator[ClientSession]:
    """Hold a session with a server: of a URL, or one that is started."""
    async with contextlib.AsyncExitStack() as stack:
        if url is None:
            program = StdioServerParameters(command=sys.executable, args=[__file__, "serve"], env=dict(os.environ))
            read, write = await stack.enter_async_context(stdio_client(program))
        else:
            client = await stack.enter_async_context(httpx.AsyncClient(transport=RequestsUnderTheirTool()))
            read, write, _ = await stack.enter_async_context(streamable_http_client(url, http_client=client))
        session = await stack.enter_async_context(TracedSession(read, write))
        await session.initialize()
        yield session


async def ask(url: str | None = None) -> None:
    """Ask for two cities at once, by a tool of LangChain's."""
    config = {"callbacks": [runspan.OpenTelemetryCallbackHandler()]}
    async with session_with(url) as session:
        (tool,) = await load_mcp_tools(session)
        for answer in await asyncio.gather(*(tool.ainvoke({"city": city}, config) for city in ("Oslo", "Rome"))):
            print(answer[0]["text"])


def main(what: str = "ask", where: str | None = None) -> None:
    """Serve, or ask."""
    with runspan.configure(service_name=f"mcp-{what}"):
        if what == "ask":
            asyncio.run(ask(where))
        elif where is None:
            server.run()
        else:
            server.settings.port = int(where)
            server.run("streamable-http")


if __name__ == "__main__":
    HTTPXClientInstrumentor().instrument()
    main(*sys.argv[1:])
