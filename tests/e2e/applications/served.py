"""A WSGI application that ends a span for each request and answers the process; each process prints its spans."""

import os

from opentelemetry import trace

import runspan

handle = runspan.configure(service_name="served", spool=os.environ.get("SPOOL"))


def end_span(name):
    with trace.get_tracer("served").start_as_current_span(name) as span:
        context = span.get_span_context()
    line = f"span {os.getpid()} {name} {context.trace_id:032x} {context.span_id:016x}\n"
    os.write(1, line.encode())  # all at once: others write there, too


end_span("delivered")  # with --preload before the fork, so that there is a connection
handle.force_flush(2)
end_span("queued")


def application(environ, start_response):
    """Answer with the id of this process."""
    end_span("request")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
