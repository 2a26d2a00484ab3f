"""Collectors as programs on loopback, each made of files of collector-config/."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from e2e.backends import folder
from tests.compose_file import COLLECTOR_CONFIG

DEADLINE_S = 20


@dataclass(frozen=True)
class Running:
    """A Collector that answers: where it takes OTLP over gRPC, and the file to which it writes with `file.yaml`."""

    endpoint: str
    written: Path

    def spans(self):
        """Return the spans written so far, as OTLP JSON has them."""
        lines = self.written.read_text().splitlines() if self.written.exists() else []
        return [
            span
            for line in lines
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


def free_port():
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition):
    """Return what the condition gives as soon as that is true; fail at the deadline."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"not within {DEADLINE_S} s")


def answer(url):
    """Return the text that the URL answers with, None while nothing listens or it says no."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - of loopback
            return response.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return None


@contextmanager
def collector(work, *names, grpc=None, **variables):
    """Run a Collector of the files named, below `work`; at the end SIGTERM lets it finish what it has begun."""
    work.mkdir()
    ports = {"health": free_port(), "grpc": grpc or free_port(), "http": free_port()}
    written = work / "written" / "traces.jsonl"
    command = [
        folder() / "otelcol-contrib",
        *(f"--config={COLLECTOR_CONFIG / name}" for name in names),
        f"--set=extensions.health_check.endpoint=127.0.0.1:{ports['health']}",
        f"--set=receivers.otlp.protocols.grpc.endpoint=127.0.0.1:{ports['grpc']}",
        f"--set=receivers.otlp.protocols.http.endpoint=127.0.0.1:{ports['http']}",
        "--set=service.telemetry.metrics.level=none",
    ]
    environment = {
        **os.environ,
        "OTELCOL_QUEUE_DIR": str(work / "queue"),
        "OTELCOL_FILE": str(written),
        **variables,
    }
    with (work / "log").open("w") as log, subprocess.Popen(command, env=environment, stderr=log) as program:
        try:
            until(lambda: program.poll() is not None or answer(f"http://127.0.0.1:{ports['health']}/"))
            assert program.poll() is None, (work / "log").read_text()
            yield Running(f"http://127.0.0.1:{ports['grpc']}", written)
        finally:
            program.terminate()


@contextmanager
def tracer(*collectors):
    """Give a tracer whose spans go one by one, each in a request of its own, to the Collectors in turn."""
    provider = TracerProvider(shutdown_on_exit=False)
    turns = [SimpleSpanProcessor(OTLPSpanExporter(endpoint=each.endpoint, timeout=10)) for each in collectors]
    provider.add_span_processor(InTurn(turns))
    yield provider.get_tracer("e2e")
    provider.shutdown()


class InTurn(SpanProcessor):
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
