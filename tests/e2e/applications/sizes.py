"""Ends 512 spans of 50 KB and one of 6 MB below a root, and prints the id of their trace; argument: the protocol."""

import json
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from runspan import OtlpSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "sizes"}))
provider.add_span_processor(OtlpSpanProcessor(protocol=sys.argv[1]))
tracer = provider.get_tracer("sizes")


def messages(size):
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": "x" * size}]}])


with tracer.start_as_current_span("root") as root:
    for number in range(512):
        with tracer.start_as_current_span("usual") as span:
            span.set_attributes({"number": number, "gen_ai.input.messages": messages(50_000)})
        if number == 100:  # among the others
            with tracer.start_as_current_span("large") as span:
                span.set_attributes({"number": -1, "gen_ai.input.messages": messages(6_000_000)})

print(f"{root.get_span_context().trace_id:032x}", provider.force_flush(60_000))
provider.shutdown()
