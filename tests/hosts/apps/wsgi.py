"""A WSGI application: each request is a span, and ``/slow`` one that ends late, after its answer has begun."""

import os
import time

from flask import Flask
from opentelemetry import trace

from runspan import configure

handle = configure(sigterm=os.environ.get("SIGTERM") != "off")
SLOW_SECONDS = float(os.environ.get("SLOW_SECONDS", "1"))
app = Flask(__name__)


@app.get("/")
def run():
    """Answer in a span."""
    with trace.get_tracer("host").start_as_current_span("run"):
        return "begun"


@app.get("/slow")
def slow():
    """Answer while the span goes on."""

    def body():
        with trace.get_tracer("host").start_as_current_span("slow"):
            yield "begun"
            time.sleep(SLOW_SECONDS)

    return body()
