"""Calls a chain on a server within a run, by LangServe's own client, in each way that it has."""

import asyncio
import sys

from langserve import RemoteRunnable
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from shared import chain, handle

import runspan


def with_headers(request):
    """Give a request the headers of this moment; httpx asks, sync or async."""
    runspan.inject(request.headers)
    return request


def ask(question):
    """Call it by threads."""
    assert remote.batch([question, question]) == ["WHY", "WHY"]
    assert list(remote.stream(question)) == ["WHY"]
    return remote.invoke(question)


async def aask(question):
    """Call it by coroutines."""
    assert [part async for part in remote.astream(question)] == ["WHY"]
    answer = await remote.ainvoke(question)
    await remote.async_client.aclose()  # LangServe would close it in another event loop
    return answer


for way in ("injected", "instrumented"):
    if way == "instrumented":
        HTTPXClientInstrumentor().instrument()
    remote = RemoteRunnable(sys.argv[1], auth=with_headers if way == "injected" else None)
    assert chain("asking", ask).invoke("why") == "WHY"
    assert asyncio.run(chain("asking", aask).ainvoke("why")) == "WHY"
handle.shutdown()
