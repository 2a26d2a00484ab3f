"""Calls a tool of an MCP server by LangChain's MCP adapters, which open a session for each call."""

import asyncio
import sys

from langchain_mcp_adapters.client import MultiServerMCPClient
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from shared import CONFIG, handle


async def main(url):
    """Call it twice at once."""
    client = MultiServerMCPClient({"weather": {"transport": "http", "url": url}})
    (tool,) = await client.get_tools()
    await asyncio.gather(*(tool.ainvoke({"city": city}, CONFIG) for city in ("Oslo", "Rome")))


HTTPXClientInstrumentor().instrument()
asyncio.run(main(sys.argv[1]))
handle.shutdown()
