"""Ends spans at a steady pace, and prints what became of them when all are delivered.

Arguments: how many spans, how many a second, a file for a line ``trace_id span_id`` for each, how many a trace has. The
environment may name a SPOOL.
"""

import dataclasses
import json
import os
import sys
import time
from itertools import count
from pathlib import Path

from opentelemetry import trace
from opentelemetry.trace import set_span_in_context

import runspan

SPANS_AT_ONCE = 50

total, pace, in_a_trace = map(int, (*sys.argv[1:3], sys.argv[4]))
handle = runspan.configure(service_name="steady", protocol="grpc", spool=os.environ.get("SPOOL"))
tracer = trace.get_tracer("steady")
begun = time.monotonic()
ended = count(1)


def end(span, record):
    span.end()
    context = span.get_span_context()
    record.write(f"{context.trace_id:032x} {context.span_id:016x}\n")
    number = next(ended)
    if number % SPANS_AT_ONCE == 0:
        time.sleep(max(begun + number / pace - time.monotonic(), 0))


with Path(sys.argv[3]).open("w", buffering=1) as record:
    for _ in range(total // in_a_trace):
        root = tracer.start_span("root")
        below = set_span_in_context(root)
        for number in range(in_a_trace - 1):
            end(tracer.start_span("child", below, attributes={"number": number}), record)
        end(root, record)

flushed = handle.force_flush(90)
print(json.dumps({"flushed": flushed} | dataclasses.asdict(handle.stats())))
