"""A WSGI application: each request is a span with a tool, which works in a pool of threads; ``/slow`` ends late."""

import contextvars
import os
import time
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, request
from langchain_core.tools import tool
from opentelemetry import trace

from runspan import OpenTelemetryCallbackHandler, configure

configure(spool=os.environ.get("SPOOL"), durability="write-ahead" if "SPOOL" in os.environ else None)
app = Flask(__name__)
tracer = trace.get_tracer("host")


def part(number):
    """Work on a part."""
    with tracer.start_as_current_span(f"part {number}"):
        time.sleep(0.01)


@tool
def search(query: str) -> str:
    """Search in parallel."""
    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(contextvars.copy_context().run, part, number) for number in range(2)]:
            each.result()
    return query


@app.get("/")
@app.get("/slow")
def answer():
    """Answer with what the tool has found, in a span that ends later."""

    def body():
        with tracer.start_as_current_span("request"):
            yield "begun"
            search.invoke({"query": "q"}, {"callbacks": [OpenTelemetryCallbackHandler()]})
            time.sleep(seconds)

    seconds = float(request.path == "/slow")
    return body()
