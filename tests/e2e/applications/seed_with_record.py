"""The seed program, which also writes the spans that it sends to a file, as OTLP; arguments: the file, the way."""

import sys
from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from examples import callbacks_at_runtime
from runspan import OneCallSpanProcessor

record = InMemorySpanExporter()
provider = TracerProvider(resource=Resource.create({"service.name": "runspan-demo"}))
# configure() keeps the provider that it finds, and its own processors see calls as this one does.
provider.add_span_processor(OneCallSpanProcessor(SimpleSpanProcessor(record)))
trace.set_tracer_provider(provider)

callbacks_at_runtime.main(*sys.argv[2:])
provider.shutdown()
Path(sys.argv[1]).write_bytes(encode_spans(record.get_finished_spans()).SerializeToString())
