"""What spans weigh on their way, by the real programs: the numbers of docs/scaling.md, as tables.

Run by ``make sizes``, after ``make backends``. Bytes are exact; rates are the best of several turns.
"""

import gzip
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
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
from runspan.export.packing.pack import pack
from runspan.export.spool.files import SpoolFile
from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger

LIMIT = 4_000_000
SPANS = 20_000
TURNS = 3
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
    return made


def chain(prompt: str) -> Callable[[dict[str, Any]], object]:
    """Return an invocation of prompt | model."""
    made = ChatPromptTemplate.from_template("{text}") | Model(messages=answer())
    return lambda config: made.invoke({"text": prompt}, config)


def agent() -> Callable[[dict[str, Any]], object]:
    """Return an invocation of an agent that calls one tool."""
    made = create_agent(Model(messages=answers()), [search])
    return lambda config: made.invoke({"messages": [("user", TEXT[:400])]}, config)


def weigh() -> None:
    """Print what invocations weigh in OTLP, and in the spool."""
    print("| invocation | spans | bytes a span | after gzip | in the spool |\n| --- | --- | --- | --- | --- |")
    for name, invoke in {
        "`prompt \\| model`, a question of 20 words": chain(TEXT[:120]),
        "`prompt \\| model`, a prompt of 2,000 tokens": chain(TEXT[:8_000]),
        "an agent, two calls of the model, one of a tool": agent(),
    }.items():
        for content in (True, False):
            spans = spans_of(invoke, content=content)
            many = [span for _ in range(512 // len(spans)) for span in spans]
            requests = pack(many, LIMIT).requests
            size = sum(len(request.body) for request in requests)
            packed = sum(len(gzip.compress(pack(spans, LIMIT).requests[0].body, 6)) for _ in range(1))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "spool"
                SpoolFile(Spool(path), "sizes").put(requests * 4)
                spooled = path.stat().st_size / 4
            row = (size / len(many), packed / len(spans), spooled / len(many))
            what = "" if content else ", no content"
            print(f"| {name}{what} | {len(spans)} | " + " | ".join(f"{each:,.0f}" for each in row) + " |")


def deliver(endpoint: str, protocol: str) -> tuple[float, float]:
    """Send spans; return how many arrived a second, and what the process worked for each, in microseconds."""
    spans = fresh(spans_of(chain(TEXT[:120]), content=True), SPANS)
    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = str(len(spans))
    processor = OtlpSpanProcessor(endpoint, protocol=protocol)
    began, worked = time.perf_counter(), time.process_time()
    for span in spans:
        processor.on_end(span)
    delivered = processor.force_flush(60_000)
    took, worked = time.perf_counter() - began, time.process_time() - worked
    processor.shutdown()
    if not delivered:
        raise SystemExit("The Collector did not take all spans; its log is above.")
    return len(spans) / took, worked / len(spans) * 1e6


def rates(folder: Path) -> None:
    """Print what a process delivers to a Collector, and what its queue weighs while Jaeger is away."""
    with Jaeger(folder) as jaeger, Collector(folder, JAEGER_OTLP_ENDPOINT=jaeger.otlp) as collector:
        print("\n| process to Collector | spans a second | µs of work a span |\n| --- | --- | --- |")
        for protocol in ("http/protobuf", "grpc"):
            best, work = max(deliver(collector.endpoint(protocol), protocol) for _ in range(TURNS))
            print(f"| {protocol} | {best:,.0f} | {work:.0f} |")
        jaeger.stop()
        before = _bytes_below(folder / "collector-queue")
        deliver(collector.grpc, "grpc")
        grown = _bytes_below(folder / "collector-queue") - before
        print(f"\nThe Collector's queue holds {grown / SPANS:,.0f} bytes a span of `prompt | model`.")


def memory(folder: Path) -> None:
    """Print what Jaeger needs for spans, in memory and in Badger."""
    with Jaeger(folder) as jaeger:
        sizes = [_resident_after_spans(jaeger) for _ in range(TURNS)]
        step = max(after - before for before, after in pairwise(sizes)) / SPANS
        print(f"Jaeger in memory needs {step:,.0f} bytes a span.")
    with Jaeger(folder, storage="badger") as jaeger:
        for _ in range(TURNS):
            deliver(f"http://{jaeger.otlp}", "grpc")
        jaeger.stop()
        print(f"In Badger it is {_bytes_below(folder / 'jaeger-storage') / SPANS / TURNS:,.0f} bytes a span on disk.")


def _resident_after_spans(jaeger: Jaeger) -> int:
    deliver(f"http://{jaeger.otlp}", "grpc")
    return jaeger.resident_bytes()


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Print all."""
    weigh()
    with tempfile.TemporaryDirectory() as folder:
        rates(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        memory(Path(folder))


if __name__ == "__main__":
    main()
