"""Serves a chain over HTTP: ``/ask`` as anybody does, ``/runs/stream`` as a LangGraph server does for RemoteGraph."""

import json
import os

import uvicorn
from shared import chain, handle
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

import runspan


async def ask(request: Request) -> JSONResponse:
    """Answer, below the span that the request comes from."""
    with runspan.extract(request.headers):
        await chain("served").ainvoke(1)
    await chain("apart").ainvoke(1)
    return JSONResponse({})


async def stream(request: Request) -> StreamingResponse:
    """Stream the values of a graph."""

    async def events():
        with runspan.extract(request.headers):
            state = await chain("served").ainvoke({"answer": 42})
        yield f"event: values\ndata: {json.dumps(state)}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


app = Starlette(routes=[Route("/ask", ask, methods=["POST"]), Route("/runs/stream", stream, methods=["POST"])])
uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
handle.shutdown()
