"""A provider in memory and a handler on it; what they recorded is asked by ``runspan.testing``."""

import gc
import threading
import time

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from runspan import OpenTelemetryCallbackHandler, Settings
from runspan.runs import reaper
from runspan.testing import RecordedTrace


class SlowSampler(Sampler):
    """Takes its time before a span starts."""

    def should_sample(self, *args, **kwargs):
        time.sleep(0.01)
        return ALWAYS_ON.should_sample(*args, **kwargs)

    def get_description(self):
        return "slow"


class Tracing:
    """What a test traces with."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")
        self.handler = OpenTelemetryCallbackHandler(tracer_provider=self.provider, settings=settings)
        self.driven_by_langchain: list = []

    @property
    def config(self) -> dict:
        return {"callbacks": [*self.driven_by_langchain, self.handler]}

    def span(self, name: str):
        """Open a span as instrumented code does."""
        return self.tracer.start_as_current_span(name)

    def mark(self, name: str) -> None:
        """Leave a span that shows what is current here."""
        self.tracer.start_span(name).end()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        wait_for_reaper()
        return self.exporter.get_finished_spans()

    @property
    def trace(self) -> RecordedTrace:
        """What the testing kit makes of the finished spans."""
        return RecordedTrace(self.spans)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def text(self, *, without: str | None = None, outliving: str | None = None) -> str:
        """Return the finished traces as an indented text, after checking that they are sound.

        Args:
            without: leave out the lines of this name at the top, such as the caller's.
            outliving: the name of a span that goes on after its parent.
        """
        check_sound(self.spans, outliving)
        return "\n".join(line for line in self.trace.tree().splitlines() if line != without)

    def settle(self) -> None:
        """Wait for the runs that only a finalizer reports."""
        deadline = time.monotonic() + 30
        while self.handler.open_runs and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.005)
        assert self.handler.open_runs == 0


def wait_for_reaper() -> None:
    """Wait until the runs have ended that nobody but the reaper ends, and that were reported until now."""
    if threading.current_thread().name != "runspan-reaper":
        assert reaper.wait(30)


def current_name() -> str | None:
    """Return the name of the current span."""
    return getattr(trace.get_current_span(), "name", None)


def check_sound(spans: tuple[ReadableSpan, ...], outliving: str | None = None) -> None:
    """Check that each span ended once, in its parent's trace, and not after its parent but for the outliving one."""
    by_id = {span.context.span_id: span for span in spans}
    assert len(by_id) == len(spans), "a span ended twice"
    for span in spans:
        if span.parent is None:
            continue
        parent = by_id.get(span.parent.span_id)
        assert parent is not None, f"the parent of {span.name} has not ended"
        assert parent.context.trace_id == span.context.trace_id
        assert parent.start_time <= span.start_time
        assert span.name == outliving or span.end_time <= parent.end_time, f"{span.name} ended after {parent.name}"


def sorted_text(text: str) -> str:
    """Sort a tree's siblings by their text, for runs that start together."""

    def blocks(lines: list[str], depth: int) -> list[str]:
        groups: list[list[str]] = []
        for line in lines:
            if len(line) - len(line.lstrip()) == 2 * depth:
                groups.append([line])
            else:
                groups[-1].append(line)
        parts = ["\n".join([group[0], *blocks(group[1:], depth + 1)]) for group in groups]
        return sorted(parts)

    return "\n".join(blocks(text.splitlines(), 0))
