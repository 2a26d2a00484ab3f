"""Ends spans for ever, with a spool that is written ahead, and notes each right after its end.

Arguments: the spool, a file for lines ``trace_id span_id time``.
"""

import os
import sys
import time
from itertools import count

from opentelemetry import trace
from opentelemetry.trace import set_span_in_context

import runspan

SPANS_AT_ONCE = 3  # slow enough that no batch is full, so only the interval decides
PAUSE_SECONDS = 0.01

spool, path = sys.argv[1:]
runspan.configure(service_name="until killed", protocol="grpc", spool=spool, durability="write-ahead")
tracer = trace.get_tracer("until killed")
record = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
below = set_span_in_context(tracer.start_span("root"))  # which never ends

for number in count():
    span = tracer.start_span("child", below, attributes={"number": number})
    span.end()
    context = span.get_span_context()
    os.write(record, f"{context.trace_id:032x} {context.span_id:016x} {time.time()!r}\n".encode())
    if number % SPANS_AT_ONCE == 0:
        time.sleep(PAUSE_SECONDS)
