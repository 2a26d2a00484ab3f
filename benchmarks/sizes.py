"""What spans weigh on their way, by the real programs: the numbers of docs/scaling.md, as tables.

Run by ``make sizes``, after ``make backends``. Bytes in OTLP are exact; rates are the best of several turns.
"""

import gzip
import os
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, cast

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import OpenTelemetryCallbackHandler, OtlpSpanProcessor, Settings, Spool
from runspan.export.packing.pack import pack
from runspan.export.spool.files import SpoolFile
from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger
from tests.e2e.program import free_addresses, get, wait_until

LIMIT = 4_000_000
SPANS = 20_000
BATCH = 512
TURNS = 3
SMALL, LARGE = 120, 8_000  # letters of a question of 20 words, of a prompt of 2,000 tokens
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


def answers() -> Iterator[AIMessage]:
    """Ask for the tool and then answer, again and again."""
    while True:
        call = {"name": "search", "args": {"query": "runs"}, "id": "call_1"}
        yield AIMessage("", tool_calls=[call], usage_metadata=USAGE)
        yield AIMessage(TEXT[:400], usage_metadata=USAGE)


def answer() -> Iterator[AIMessage]:
    """Answer, again and again."""
    while True:
        yield AIMessage(TEXT[:400], usage_metadata=USAGE)


def spans_of(invoke: Callable[[dict[str, Any]], object], *, content: bool) -> Sequence[ReadableSpan]:
    """Return the spans of an invocation."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    settings = Settings(capture_content="span" if content else "none")
    invoke({"callbacks": [OpenTelemetryCallbackHandler(tracer_provider=provider, settings=settings)]})
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
    made = ChatPromptTemplate.from_template("{text}") | Model(messages=answer())
    return lambda config: made.invoke({"text": prompt}, config)


def agent() -> Callable[[dict[str, Any]], object]:
    """Return an invocation of an agent that calls one tool."""
    made = create_agent(Model(messages=answers()), [search])
    return lambda config: made.invoke({"messages": [("user", TEXT[:400])]}, config)


def weigh() -> None:
    """Print what invocations weigh in OTLP, after gzip if each goes alone, and in the spool."""
    print("| invocation | spans | bytes a span | after gzip | in the spool |\n| --- | --- | --- | --- | --- |")
    for name, invoke in {
        "`prompt \\| model`, a question of 20 words": chain(TEXT[:SMALL]),
        "`prompt \\| model`, a prompt of 2,000 tokens": chain(TEXT[:LARGE]),
        "an agent, two calls of the model, one of a tool": agent(),
    }.items():
        for content in (True, False):
            spans = spans_of(invoke, content=content)
            many = [span for _ in range(BATCH // len(spans)) for span in spans]
            requests = pack(many, LIMIT).requests
            size = sum(len(request.body) for request in requests)
            alone = len(gzip.compress(pack(spans, LIMIT).requests[0].body, 6))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "spool"
                SpoolFile(Spool(path), "sizes").put(requests * 4)
                spooled = path.stat().st_size / 4
            row = (size / len(many), alone / len(spans), spooled / len(many))
            what = "" if content else ", no content"
            print(f"| {name}{what} | {len(spans)} | " + " | ".join(f"{each:,.0f}" for each in row) + " |")


class Cost(NamedTuple):
    """What a delivery took: the rate, and microseconds of work a span, in all and of the thread that ended it."""

    rate: float
    work: float
    ending: float


def deliver(endpoint: str, protocol: str, letters: int) -> Cost:
    """Send spans of `prompt | model`, as an application does."""
    spans = fresh(spans_of(chain(TEXT[:letters]), content=True), SPANS)
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
    return Cost(SPANS / took, worked / SPANS * 1e6, ending / SPANS * 1e6)


class Measured(Collector):
    """A Collector that tells its metrics."""

    def __init__(self, folder: Path, **options: Any) -> None:
        (self._metrics,) = free_addresses(1)
        host, port = self._metrics.split(":")
        reader = f"{{pull: {{exporter: {{prometheus: {{host: {host}, port: {port}}}}}}}}}"
        settings = {
            "service.telemetry.metrics.level": "normal",
            "service.telemetry.metrics.readers": f"[{reader}]",
        }
        super().__init__(folder, settings=settings, **options)

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its attributes, 0 if it is not there yet."""
        text = cast("bytes", get(f"http://{self._metrics}/metrics")).decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def forward(collector: Measured, letters: int) -> tuple[float, float]:
    """Return how many spans a second the Collector passes on, and what it works for each, in microseconds."""
    spans = fresh(spans_of(chain(TEXT[:letters]), content=True), SPANS)
    bodies = [pack(spans[first : first + BATCH], LIMIT).requests[0].body for first in range(0, SPANS, BATCH)]

    def post(body: bytes) -> None:
        headers = {"Content-Type": "application/x-protobuf"}
        urllib.request.urlopen(urllib.request.Request(f"{collector.http}/v1/traces", body, headers)).close()

    sent, worked = collector.metric("otelcol_exporter_sent_spans"), collector.metric("otelcol_process_cpu_seconds")
    began = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(post, bodies))
    wait_until(
        lambda: collector.metric("otelcol_exporter_sent_spans") >= sent + SPANS,
        60,
        lambda: f"The Collector holds spans back:\n{collector.last_words()}",
    )
    took = time.perf_counter() - began
    return SPANS / took, (collector.metric("otelcol_process_cpu_seconds") - worked) / SPANS * 1e6


def rates(folder: Path) -> None:
    """Print what a process delivers to a Collector, and what the Collector passes on to Jaeger."""
    with Jaeger(folder) as jaeger, Measured(folder, JAEGER_OTLP_ENDPOINT=jaeger.otlp) as collector:
        print("\n| from, to | letters | spans a second | µs of work a span |\n| --- | --- | --- | --- |")
        for letters in (SMALL, LARGE):
            for protocol in ("http/protobuf", "grpc"):
                best = max(deliver(collector.endpoint(protocol), protocol, letters) for _ in range(TURNS))
                work = f"{best.work:.0f}, {best.ending:.1f} of them in the thread that ends it"
                print(f"| process, Collector by {protocol} | {letters} | {best.rate:,.0f} | {work} |")
            rate, cpu = max(forward(collector, letters) for _ in range(TURNS))
            print(f"| Collector, Jaeger | {letters} | {rate:,.0f} | {cpu:.0f} |")


def disks(folder: Path, letters: int) -> None:
    """Print what spans weigh in the Collector's queue while there is no backend, and in Jaeger's Badger."""
    with Collector(folder, JAEGER_OTLP_ENDPOINT="127.0.0.1:1") as collector:  # a new one: old files have room in them
        for _ in range(TURNS):
            deliver(collector.grpc, "grpc", letters)
        print(f"| queue of the Collector, on disk | {letters} | {_on_disk(folder / 'collector-queue'):,.0f} |")
    with Jaeger(folder, storage="badger") as jaeger:
        for _ in range(TURNS):
            deliver(f"http://{jaeger.otlp}", "grpc", letters)
        jaeger.stop()
        print(f"| Jaeger, in Badger | {letters} | {_on_disk(folder / 'jaeger-storage'):,.0f} |")


def memory(folder: Path, letters: int) -> None:
    """Print how Jaeger's memory grows, and that of a sampler that has not decided yet."""
    with Jaeger(folder) as jaeger:
        print(f"| Jaeger, in memory | {letters} | {_growth(jaeger, f'http://{jaeger.otlp}', letters):,.0f} |")
    files = ("base.yaml", "sampling.yaml", "backends/jaeger.yaml")
    with Collector(folder, files=files, name="sampler", SAMPLING_WAIT="600s") as sampler:
        print(f"| sampler, in memory | {letters} | {_growth(sampler, sampler.grpc, letters):,.0f} |")


def _growth(program: Jaeger | Collector, endpoint: str, letters: int) -> float:
    before = program.resident_bytes()
    for _ in range(TURNS):
        deliver(endpoint, "grpc", letters)
    return (program.resident_bytes() - before) / SPANS / TURNS


def _on_disk(folder: Path) -> float:
    taken = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    return taken / SPANS / TURNS


def main() -> None:
    """Print all."""
    weigh()
    with tempfile.TemporaryDirectory() as folder:
        rates(Path(folder))
    print("\n| where | letters | bytes a span |\n| --- | --- | --- |")
    for letters in (SMALL, LARGE):
        for show in (disks, memory):
            with tempfile.TemporaryDirectory() as folder:
                show(Path(folder), letters)


if __name__ == "__main__":
    main()
