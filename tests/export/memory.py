"""An exporter into memory that tests can hold back, and what makes it export."""

import threading

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class Memory(SpanExporter):
    """Keeps batches; ``gate`` holds it back, ``result`` is what it answers."""

    def __init__(self):
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.called = threading.Event()
        self.result = SpanExportResult.SUCCESS
        self.shutdowns = 0

    def export(self, spans):
        self.called.set()
        self.gate.wait(30)
        self.batches.append([span.name for span in spans])
        return self.result

    def shutdown(self):
        self.shutdowns += 1

    @property
    def names(self):
        return [name for batch in self.batches for name in batch]


def end_spans(tracer, *names):
    for name in names:
        tracer.start_span(name).end()


def settle(workers):
    """Wait until all workers are free, and all that they found out is noted."""
    everybody = threading.Barrier(9)
    for _ in range(8):
        workers.call(everybody.wait)
    everybody.wait(15)
