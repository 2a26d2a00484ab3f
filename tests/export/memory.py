"""A client into memory that tests can hold back, and what makes it send."""

import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runspan.export.otlp.result import Retryable, Success

FAILS = Retryable("it fails")


def span_names(request):
    message = ExportTraceServiceRequest.FromString(request.body)
    return [
        span.name
        for of_resource in message.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


class Memory:
    """Keeps the names of spans, request by request; ``gate`` holds it back, ``answer`` is what it says."""

    def __init__(self):
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.called = threading.Event()
        self.answer = Success()
        self.closes = 0

    def send(self, request):
        self.called.set()
        self.gate.wait(30)
        self.batches.append(span_names(request))
        return self.answer

    def close(self):
        self.closes += 1

    @property
    def names(self):
        return [name for batch in self.batches for name in batch]


def given(client):
    """Return what makes a client, which is that one."""
    return lambda: client


def end_spans(tracer, *names):
    for name in names:
        tracer.start_span(name).end()
