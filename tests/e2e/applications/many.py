"""Ends many spans over gRPC; prints the ids of their traces, and in the last line those of all spans.

Arguments: how many traces, how many spans in each.
"""

import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from runspan import OtlpSpanProcessor

traces, spans = map(int, sys.argv[1:])
provider = TracerProvider(resource=Resource.create({"service.name": "many"}))
provider.add_span_processor(OtlpSpanProcessor(protocol="grpc"))
tracer = provider.get_tracer("many")

ids = []
for _ in range(traces):
    root = tracer.start_span("root")
    ids.append(root.get_span_context().span_id)
    for number in range(spans - 1):
        child = tracer.start_span("child", set_span_in_context(root), attributes={"number": number})
        ids.append(child.get_span_context().span_id)
        child.end()
    root.end()
    assert provider.force_flush(60_000)  # so that the queue never overflows
    print(f"{root.get_span_context().trace_id:032x}")

provider.shutdown()
print(*(f"{span_id:016x}" for span_id in ids))
