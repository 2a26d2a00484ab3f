"""Serves a chain by LangServe."""

import os

import uvicorn
from fastapi import FastAPI
from langserve import add_routes
from shared import chain, handle
from starlette.datastructures import Headers

import runspan


class Extracting:
    """Goes on with the trace that a request comes with, as instrumented servers do."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Serve a request; the lifespan has no headers."""
        with runspan.extract(Headers(scope=scope) if scope["type"] == "http" else None):
            await self.app(scope, receive, send)


app = FastAPI()
add_routes(app, chain("served", str.upper).with_types(input_type=str), path="/chain")
app.add_middleware(Extracting)
uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
handle.shutdown()
