"""What spans weigh on their way, by the real programs: the numbers of docs/scaling.md, as tables.

Run by ``make sizes``, after ``make backends``. Bytes in OTLP are exact; rates are the best of several turns.
"""

import gzip
import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, cast

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import OpenTelemetryCallbackHandler, OtlpSpanProcessor, Settings, Spool
from runspan.export.encoding.requests import encode
from runspan.export.spool import SpoolFolder
from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger
from tests.e2e.program import free_addresses, get

LIMIT = 4_000_000
SPANS = 20_000
BATCH = 512
TURNS = 3
SMALL, LARGE = 120, 8_000  # letters of a question of 20 words, of a prompt of 2,000 tokens
CHOICES: dict[str, dict[str, Any]] = {
    "": {},
    ", no content of chains": {"capture_chains": "none"},
    ", no content": {"capture_content": "none"},
}
USAGE = {"input_tokens": 2000, "output_tokens": 100, "total_tokens": 2100}
# Words, since a letter repeated would be nothing after gzip.
TEXT = " ".join(re.findall(r"\w+", (Path(__file__).parents[1] / "ARCHITECTURE.md").read_text() * 3))


class Model(GenericFakeChatModel):
    """Answers from a list; tools change nothing."""

    def bind_tools(self, *_: Any, **__: Any) -> "Model":
        """Be the same."""
        return self


@tool
def search(query: str) -> str:
    """Search the documents."""
    return TEXT[: 4_000 - len(query)]


def spans_of(invoke: Callable[[dict[str, Any]], object], **options: Any) -> Sequence[ReadableSpan]:
    """Return the spans of an invocation under these settings."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    invoke({"callbacks": [OpenTelemetryCallbackHandler(tracer_provider=provider, settings=Settings(**options))]})
    return kept.get_finished_spans()


def fresh(spans: Sequence[ReadableSpan], count: int) -> list[ReadableSpan]:
    """Return so many spans like these, each with an id of its own, a hundred in a trace."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("sizes")
    made: list[ReadableSpan] = []
    while len(made) < count:
        with tracer.start_as_current_span("root"):
            for number in range(99):
                like = spans[number % len(spans)]
                span = cast("Span", tracer.start_span(like.name, attributes=like.attributes))
                span.end()
                made.append(span)
    return made[:count]


def chain(prompt: str) -> Callable[[dict[str, Any]], object]:
    """Return an invocation of prompt | model."""
    answer = AIMessage(TEXT[:400], usage_metadata=USAGE)
    made = ChatPromptTemplate.from_template("{text}") | Model(messages=cycle([answer]))
    return lambda config: made.invoke({"text": prompt}, config)


def agent() -> Callable[[dict[str, Any]], object]:
    """Return an invocation of an agent that calls one tool."""
    asking = AIMessage("", tool_calls=[{"name": "search", "args": {"query": "runs"}, "id": "1"}], usage_metadata=USAGE)
    answer = AIMessage(TEXT[:400], usage_metadata=USAGE)
    made = create_agent(Model(messages=cycle([asking, answer])), [search])
    return lambda config: made.invoke({"messages": [("user", TEXT[:400])]}, config)


def weigh() -> None:
    """Print what invocations weigh in OTLP, after gzip if each goes alone, and in the spool."""
    print("| invocation | spans | bytes a span | after gzip | in the spool |\n| --- | --- | --- | --- | --- |")
    for name, invoke in {
        "`prompt \\| model`, a question of 20 words": chain(TEXT[:SMALL]),
        "`prompt \\| model`, a prompt of 2,000 tokens": chain(TEXT[:LARGE]),
        "an agent, two calls of the model, one of a tool": agent(),
    }.items():
        for what, options in CHOICES.items():
            spans = spans_of(invoke, **options)
            many = [span for _ in range(BATCH // len(spans)) for span in spans]
            requests = encode(many, LIMIT).requests
            size = sum(len(request.body) for request in requests)
            alone = len(gzip.compress(encode(spans, LIMIT).requests[0].body, 6))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "spool"
                SpoolFolder(Spool(path), "sizes").put(requests * 4)
                spooled = sum(file.stat().st_size for file in path.iterdir()) / 4
            row = (size / len(many), alone / len(spans), spooled / len(many))
            print(f"| {name}{what} | {len(spans)} | " + " | ".join(f"{each:,.0f}" for each in row) + " |")


def deliver(endpoint: str, protocol: str, letters: int) -> tuple[float, float, float]:
    """Send spans as an application does; return how many a second, and the work for each in microseconds.

    The work is that of the process, and then that of the thread that ends them.
    """
    spans = fresh(spans_of(chain(TEXT[:letters]), capture_chains="none"), SPANS)
    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = str(SPANS)
    processor = OtlpSpanProcessor(endpoint, protocol=protocol)
    began, worked, ending = time.perf_counter(), time.process_time(), time.thread_time()
    for span in spans:
        processor.on_end(span)
    ending = time.thread_time() - ending
    delivered = processor.force_flush(60_000)
    took, worked = time.perf_counter() - began, time.process_time() - worked
    processor.shutdown()
    if not delivered:
        raise SystemExit("The receiver did not take all spans; what it said is above.")
    return SPANS / took, worked / SPANS * 1e6, ending / SPANS * 1e6


def rates(folder: Path) -> None:
    """Print what a process delivers to a Collector that passes it on to Jaeger, and what both work."""
    (metrics,) = free_addresses(1)
    host, port = metrics.split(":")
    reader = f"{{pull: {{exporter: {{prometheus: {{host: {host}, port: {port}}}}}}}}}"
    settings = {"service.telemetry.metrics.level": "normal", "service.telemetry.metrics.readers": f"[{reader}]"}
    with Jaeger(folder) as jaeger, Collector(folder, settings=settings, JAEGER_OTLP_ENDPOINT=jaeger.otlp) as collector:
        print("\n| | letters | spans a second | µs of work a span |\n| --- | --- | --- | --- |")
        for letters in (SMALL, LARGE):
            before = _cpu_seconds(metrics)
            for protocol in ("http/protobuf", "grpc"):
                best = max(deliver(collector.endpoint(protocol), protocol, letters) for _ in range(TURNS))
                print(f"| process, {protocol} | {letters} | {best[0]:,.0f} | {best[1]:.0f}, ending it {best[2]:.1f} |")
            work = (_cpu_seconds(metrics) - before) / SPANS / TURNS / 2
            print(f"| Collector, for each core | {letters} | {1 / work:,.0f} | {work * 1e6:.0f} |")


def _cpu_seconds(metrics: str) -> float:
    text = cast("bytes", get(f"http://{metrics}/metrics")).decode()
    (value,) = re.findall(r"^otelcol_process_cpu_seconds(?:{.*})? (\S+)$", text, re.MULTILINE)
    return float(value)


def rest(folder: Path, letters: int) -> None:
    """Print what a span takes where it waits or stays: on disk, and as growth of a program's memory."""
    away = Collector(folder, name="away", JAEGER_OTLP_ENDPOINT="127.0.0.1:1")
    files = ("base.yaml", "sampling.yaml", "backends/jaeger.yaml")
    sampler = Collector(folder, name="sampler", files=files, SAMPLING_WAIT="600s")
    jaeger, badger = Jaeger(folder), Jaeger(folder, storage="badger")
    of_jaeger, of_badger = f"http://{jaeger.otlp}", f"http://{badger.otlp}"
    grown = {
        "queue of the Collector, on disk": _grown(away, away.grpc, letters, lambda: _on_disk(folder / "away-queue")),
        "sampler, in memory": _grown(sampler, sampler.grpc, letters, sampler.resident_bytes),
        "Jaeger, in memory": _grown(jaeger, of_jaeger, letters, jaeger.resident_bytes),
    }
    _grown(badger, of_badger, letters, lambda: 0)
    grown["Jaeger, in Badger, after its end"] = _on_disk(folder / "jaeger-storage") / SPANS / TURNS
    for name, size in grown.items():
        print(f"| {name} | {letters} | {size:,.0f} |")


def _grown(program: Jaeger | Collector, endpoint: str, letters: int, measure: Callable[[], int]) -> float:
    with program:
        before = measure()
        for _ in range(TURNS):
            deliver(endpoint, "grpc", letters)
        grown = (measure() - before) / SPANS / TURNS
        program.stop()
        return grown


def _on_disk(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Print all."""
    weigh()
    with tempfile.TemporaryDirectory() as folder:
        rates(Path(folder))
    print("\n| where | letters | bytes a span |\n| --- | --- | --- |")
    for letters in (SMALL, LARGE):
        with tempfile.TemporaryDirectory() as folder:
            rest(Path(folder), letters)


if __name__ == "__main__":
    main()
