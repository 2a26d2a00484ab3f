"""What the benchmark compares: each subject prepares its process and returns the callbacks of an invocation.

Every one that makes spans gives them to a ``Sink`` in the process, and records content unless its name says otherwise.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON


class Sink(SpanProcessor, SpanExporter):
    """Takes ended spans; keeps them while somebody counts."""

    def __init__(self) -> None:
        self.kept: list[ReadableSpan] | None = None

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span."""
        if self.kept is not None:
            self.kept.append(span)

    def export(self, spans: Any) -> SpanExportResult:
        """Take spans of who knows exporters alone."""
        for span in spans:
            self.on_end(span)
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have nothing to flush."""
        return True

    def bytes(self) -> int:
        """Return what the spans that were kept weigh in OTLP."""
        return encode_spans(self.kept).ByteSize() if self.kept else 0


sink = Sink()


def provider(*, sampled: bool = True) -> TracerProvider:
    """Make a tracer provider that sends to the sink."""
    made = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF, shutdown_on_exit=False)
    made.add_span_processor(sink)
    return made


class Silent(BaseCallbackHandler):
    """A handler that does nothing."""

    run_inline = True

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Do nothing; without it LangChain writes all messages into one text, for ``on_llm_start``."""


class Floor(BaseCallbackHandler):
    """Makes the same spans as runspan, with attributes that it has beforehand, and nothing else."""

    run_inline = True

    def __init__(self) -> None:
        self.prepared: list[ReadableSpan] = []
        self.open: dict[UUID, trace.Span] = {}
        self.next: Iterator[ReadableSpan] = iter(())
        self.tracer = provider().get_tracer("floor")

    def _start(self, *_: Any, run_id: UUID, parent_run_id: UUID | None = None, tags: Any = None, **__: Any) -> None:
        if parent_run_id is None:
            self.next = iter(self.prepared)
        parent = self.open.get(parent_run_id) if parent_run_id is not None else None
        if tags and "langsmith:hidden" in tags:  # as runspan, which lets its children move up
            self.open[run_id] = parent or trace.INVALID_SPAN
            return
        like = next(self.next)
        context = None if parent is None else trace.set_span_in_context(parent)
        self.open[run_id] = self.tracer.start_span(like.name, context, like.kind, like.attributes)

    def _end(self, *_: Any, run_id: UUID, tags: Any = None, **__: Any) -> None:
        span = self.open.pop(run_id)
        if not (tags and "langsmith:hidden" in tags):
            span.end()

    on_chain_start = on_chat_model_start = on_tool_start = _start
    on_chain_end = on_llm_end = on_tool_end = _end


def runspan_handler(*, content: str = "span", sampled: bool = True, **options: Any) -> list[Any]:
    """Make runspan's handler."""
    from runspan import OpenTelemetryCallbackHandler, Settings

    return [
        OpenTelemetryCallbackHandler(
            tracer_provider=provider(sampled=sampled), settings=Settings(capture_content=content), **options
        )
    ]


def floor() -> list[Any]:
    """Make the floor; the worker gives it the spans that runspan makes of the workload."""
    return [Floor()]


def runspan_spool() -> list[Any]:
    """Make runspan's handler with every span put on disk."""
    from runspan import OtlpSpanProcessor, Spool

    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = "100000"
    spool = Spool(tempfile.mkdtemp() + "/spool", durability="write-ahead")
    return runspan_handler(span_processors=[OtlpSpanProcessor("http://127.0.0.1:9", spool=spool)])


def runspan_metrics() -> list[Any]:
    """Make runspan's handler with a meter provider that is read."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    return runspan_handler(meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False))


def openinference() -> list[Any]:
    """Instrument by OpenInference."""
    from openinference.instrumentation.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument(tracer_provider=provider())
    return []


def openllmetry() -> list[Any]:
    """Instrument by OpenLLMetry."""
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    LangchainInstrumentor().instrument(tracer_provider=provider())
    return []


def genai() -> list[Any]:
    """Instrument by OpenTelemetry's own package."""
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
    from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument(tracer_provider=provider())
    return []


def langfuse() -> list[Any]:
    """Make Langfuse's handler; its spans go to the sink instead of its server."""
    from langfuse import Langfuse
    from langfuse.langchain import CallbackHandler

    os.environ["OTEL_BSP_MAX_QUEUE_SIZE"] = "100000"  # it would lose what 10,000 invocations at once record
    Langfuse(public_key="bench", secret_key="bench", span_exporter=sink)  # noqa: S106  no secret
    return [CallbackHandler()]


# By name: the packages to install ("" is runspan itself), and what makes the callbacks.
SUBJECTS: dict[str, tuple[str, Callable[[], list[Any]]]] = {
    "no callbacks": ("", list),
    "empty handler": ("", lambda: [Silent()]),
    "floor": ("", floor),
    "runspan": ("", runspan_handler),
    "runspan, content off": ("", lambda: runspan_handler(content="none")),
    "runspan, sampled out": ("", lambda: runspan_handler(sampled=False)),
    "runspan, spool": ("", runspan_spool),
    "runspan, metrics": ("", runspan_metrics),
    "runspan, listeners": ("", lambda: runspan_handler(span_processors=[Sink()], callbacks=[Silent()])),
    "OpenInference": ("openinference-instrumentation-langchain", openinference),
    "OpenLLMetry": ("opentelemetry-instrumentation-langchain", openllmetry),
    "OpenTelemetry genai": ("opentelemetry-instrumentation-genai-langchain", genai),
    "Langfuse": ("langfuse", langfuse),
}
