"""Spans that tests send to Collectors, and those that a Collector with `backends/file.yaml` wrote."""

import json
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.e2e.program import wait_until


def read(path):
    """Return the spans of a file, as OTLP JSON has them."""
    text = path.read_text() if path.exists() else ""
    lines = text.splitlines()[: text.count("\n")]  # not one that is being written
    return [
        span
        for line in lines
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def wait_for(count, *paths):
    """Wait until the files have so many spans together, and return them."""
    wait_until(
        lambda: sum(len(read(path)) for path in paths) >= count,
        30,
        lambda: f"{[len(read(path)) for path in paths]} of {count} spans are written.",
    )
    return [span for path in paths for span in read(path)]


@contextmanager
def tracer(*collectors):
    """Give a tracer whose spans go one by one, each in a request of its own, to one Collector after the other."""
    provider = TracerProvider(shutdown_on_exit=False)
    processors = [SimpleSpanProcessor(OTLPSpanExporter(endpoint=each.grpc, timeout=10)) for each in collectors]
    provider.add_span_processor(RoundRobin(processors))
    yield provider.get_tracer("e2e")
    provider.shutdown()


class RoundRobin(SpanProcessor):
    """Give each ended span to the next of several processors."""

    def __init__(self, processors):
        self._processors = processors
        self._ended = 0

    def on_end(self, span):
        self._processors[self._ended % len(self._processors)].on_end(span)
        self._ended += 1

    def shutdown(self):
        for processor in self._processors:
            processor.shutdown()
