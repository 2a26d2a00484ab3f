"""Ends spans and then itself, and prints when; arguments: how many spans, the seconds that its end may take."""

import os
import sys
import time

from opentelemetry import trace

import runspan


def report(line):
    os.write(1, f"{line}\n".encode())  # all at once: the log is written there, too


def end(span, name):
    span.end()
    context = span.get_span_context()
    report(f"span {os.getpid()} {name} {context.trace_id:032x} {context.span_id:016x}")


count, exit_timeout = int(sys.argv[1]), float(sys.argv[2])
runspan.configure(service_name="ends", spool=os.environ.get("SPOOL"), exit_timeout=exit_timeout)
tracer = trace.get_tracer("ends")
root = tracer.start_span("root")
for _ in range(count - 1):
    end(tracer.start_span("child", trace.set_span_in_context(root)), "child")
end(root, "root")
report(f"end {time.time()}")
