"""Sends the traces of invocations to several backends at once."""

import gc
import re

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import runspan
from tests.e2e.application import run
from tests.e2e.program import ROOT
from tests.tracing import wait_for_reaper

CONFIG = {"tags": ["beta"], "metadata": {"user_id": "u1", "thread_id": "t1"}, "configurable": {"thread_id": "t1"}}


class Sender:
    """Invokes what is given and sends its spans to each backend.

    Args:
        backends: what has an ``endpoint``, its ``protocol`` and its ``headers``.
    """

    def __init__(self, backends):
        self._backends = list(backends)
        self._sent = InMemorySpanExporter()
        self._provider = TracerProvider(resource=Resource.create({"service.name": "shop"}), shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(self._sent))
        for each in self._backends:
            headers = dict(pair.split("=") for pair in each.headers.split(",") if pair)
            processor = runspan.OtlpSpanProcessor(each.endpoint, protocol=each.protocol, headers=headers)
            self._provider.add_span_processor(processor)
        self._handler = runspan.OpenTelemetryCallbackHandler(tracer_provider=self._provider)
        self._known = {}

    def traces(self, invocation):
        """Invoke it, the first time, and return the id of each trace that it leaves, with how many spans it has."""
        if invocation not in self._known:
            self._sent.clear()
            invocation(CONFIG | {"callbacks": [self._handler]})
            gc.collect()
            wait_for_reaper()
            counts = {}
            for span in sorted(self._sent.get_finished_spans(), key=lambda each: each.start_time):
                trace_id = f"{span.context.trace_id:032x}"
                counts[trace_id] = counts.get(trace_id, 0) + 1
            assert self._provider.force_flush()
            self._known[invocation] = list(counts.items())
        return self._known[invocation]

    def seed(self, backend, folder):
        """Run the seed program with a backend, and return the id of its trace."""
        printed = run(
            folder,
            ROOT / "examples" / "callbacks_at_runtime.py",
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            OTEL_EXPORTER_OTLP_HEADERS=backend.headers,
        )
        (trace_id,) = re.findall(r"^trace ([0-9a-f]{32})$", printed, re.MULTILINE)
        return trace_id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._provider.shutdown()
