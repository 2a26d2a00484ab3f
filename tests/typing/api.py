"""Every public name as users write it, with the type that they get: ``make lint`` checks it, nothing runs it."""

from collections.abc import Iterable
from email.message import Message
from pathlib import Path
from typing import Any, Literal, assert_type
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.embeddings import Embeddings
from langgraph.checkpoint.memory import InMemorySaver
from opentelemetry import trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import TracerProvider as AnyTracerProvider
from werkzeug import Request

import runspan
from runspan import testing

assert_type(runspan.__version__, str)


def price(model: str, usage: runspan.ModelUsage) -> runspan.Cost:
    """What a call costs."""
    assert_type(usage.provider, str | None)
    return runspan.Cost(usage.input_tokens * 1e-6, currency="EUR", source=model)


def settings() -> runspan.Settings:
    """Each option, and what it is read as."""
    made = runspan.Settings(
        capture_content="none",
        capture_chains=True,
        content_form="structured",
        detail="minimal",
        metadata_keys=("user_id",),
        semconv="latest_and_legacy",
        returned_tool_errors="error_type_only",
        blob_store="s3://bucket/media",
        trace_url="http://localhost:16686/trace/{trace_id}",
        cost=price,
    )
    assert_type(made.trace_url, str | None)
    assert_type(made.capture_content, Literal["none", "span", "event", "span_and_event"])
    assert_type(made.capture_chains, Literal["none", "root", "all", True, False])
    assert_type(made.content_form, Literal["json", "structured"])
    assert_type(made.detail, Literal["minimal", "normal", "all"])
    assert_type(made.metadata_keys, tuple[str, ...])
    assert_type(made.semconv, Literal["latest", "latest_and_legacy"])
    assert_type(made.returned_tool_errors, Literal["error_status", "error_type_only"])
    return made


def handler(
    callbacks: list[BaseCallbackHandler],
    processors: Iterable[SpanProcessor],
    tracers: AnyTracerProvider,
    meters: MeterProvider,
    loggers: LoggerProvider,
) -> BaseCallbackHandler:
    """A handler with all of its arguments, and what it answers."""
    made = runspan.OpenTelemetryCallbackHandler(
        callbacks=callbacks,
        span_processors=processors,
        attributes={"tenant": "acme", "tier": 2, "flags": ["a"]},
        propagate=["tenant"],
        tracer_provider=tracers,
        meter_provider=meters,
        logger_provider=loggers,
        settings=settings(),
    )
    assert_type(made.settings, runspan.Settings)
    assert_type(made.meter_provider, MeterProvider | None)
    assert_type(made.logger_provider, object | None)
    assert_type(made.open_runs, int)
    assert_type(made.trace_id_for(UUID(int=1)), str | None)
    assert_type(made.traceparent_for(UUID(int=1)), str | None)
    assert_type(made.trace_url_for(UUID(int=1)), str | None)
    assert_type(made.trace_id_for("00000000-0000-0000-0000-000000000001"), str | None)
    assert_type(made.force_flush(timeout=1), bool)
    assert_type(made.shutdown(timeout=1.5), bool)
    return made


async def wait(made: runspan.OpenTelemetryCallbackHandler, processor: runspan.CallbackSpanProcessor) -> None:
    """What is awaited."""
    assert_type(await made.aflush(timeout=1), bool)
    assert_type(await processor.aflush(timeout=1), bool)


def configure() -> None:
    """All arguments of ``configure``, and its handle."""
    with runspan.configure(
        service_name="shop",
        endpoint="http://localhost:4318",
        protocol="http/protobuf",
        headers={"x-api-key": "key"},
        console="live",
        file=Path("spans.jsonl"),
        max_file_bytes=1_000_000,
        resource_attributes={"deployment.environment.name": "test", "shards": [1, 2]},
        nested_model_spans="keep",
        backend="langfuse",
        spool=runspan.Spool(
            Path("spool"), durability="write-ahead", interval_seconds=1, max_bytes=1_000_000, max_age_seconds=3_600
        ),
        durability="on-failure",
        max_request_bytes=1_000_000,
        started_markers=True,
        exit_timeout=2,
        sigterm=False,
    ) as handle:
        assert_type(handle, runspan.Handle)
        assert_type(handle.tracer_provider, AnyTracerProvider)
        assert_type(handle.is_open, bool)
        assert_type(handle.force_flush(timeout=1), bool)
        assert_type(handle.shutdown(timeout=1), bool)
    assert_type(runspan.doctor(), str)
    stats = handle.stats()
    assert_type(stats, runspan.Stats)
    assert_type((stats.taken, stats.sent, stats.retried), tuple[int, int, int])
    assert_type((stats.shortened, stats.spooled, stats.waiting), tuple[int, int, int])
    assert_type(sum(stats.dropped.values()), int)


def processors(provider: TracerProvider, callbacks: list[BaseCallbackHandler]) -> None:
    """Each span processor, around another one where it takes one."""

    def is_ai_work(span: ReadableSpan) -> bool:
        return span.name == "chat"

    otlp = runspan.OtlpSpanProcessor("http://localhost:4317", protocol="grpc", headers={}, spool="spool")
    assert_type(otlp.stats(), runspan.Stats)
    assert_type(otlp.force_flush(1_000), bool)
    provider.add_span_processor(runspan.AiOnlySpanProcessor(otlp, is_ai_work=is_ai_work))
    keeping = runspan.KeepingSpanProcessor(otlp, errors=True, slower_than=2.5, share=0.1, max_bytes=1_000_000)
    provider.add_span_processor(runspan.OneCallSpanProcessor(runspan.BackendSpanProcessor(keeping, "mlflow")))
    provider.add_span_processor(runspan.CallbackSpanProcessor(callbacks))


def listen(callbacks: list[BaseCallbackHandler], otlp: SpanProcessor, provider: AnyTracerProvider) -> None:
    """A block of code, and a recording."""
    with runspan.invocation(callbacks=callbacks, span_processors=[otlp], tracer_provider=provider) as made:
        assert_type(made, runspan.OpenTelemetryCallbackHandler)
    runspan.replay("spans.json", callbacks=callbacks)
    runspan.replay(Path("spans.json"), callbacks=callbacks)
    runspan.replay(list[ReadableSpan](), callbacks=callbacks)
    assert_type(len(runspan.show("spans.json")) + len(runspan.show(list[ReadableSpan]())), int)


def judge(span: ReadableSpan, run_id: UUID, tracers: AnyTracerProvider, loggers: LoggerProvider) -> None:
    """What can be judged, and all that can be said of it."""
    runspan.record_evaluation(span, "relevance", value=0.5)
    runspan.record_evaluation(span.context, "relevance", label="pass")
    runspan.record_evaluation(OtlpSpan(), "relevance", label="pass")
    runspan.record_evaluation({"traceId": "1", "spanId": "2"}, "relevance", label="pass")
    runspan.record_evaluation(trace.get_current_span(), "relevance", explanation="to the point")
    runspan.record_evaluation(run_id, "relevance", value=1, as_span=True, tracer_provider=tracers)
    runspan.record_evaluation(
        "00-00000000000000000000000000000001-0000000000000001-01",
        "relevance",
        value=True,
        label="good",
        explanation="to the point",
        response_id="msg_1",
        logger_provider=loggers,
    )


async def listen_async(callbacks: list[BaseCallbackHandler]) -> None:
    """The same block in a coroutine."""
    async with runspan.invocation(callbacks=callbacks) as made:
        assert_type(made, runspan.OpenTelemetryCallbackHandler)


def wrap(embeddings: Embeddings, saver: InMemorySaver, meters: MeterProvider) -> None:
    """What is given comes back with its type."""
    traced = runspan.trace_embeddings(embeddings, tracer_provider=None, meter_provider=meters, settings=settings())
    assert_type(traced, Embeddings)
    assert_type(runspan.link_resumes(saver), InMemorySaver)
    assert_type(runspan.redact_secrets("a text"), str)
    runspan.Settings(redact=runspan.redact_secrets)


def zero_code(tracers: AnyTracerProvider, meters: MeterProvider, loggers: LoggerProvider) -> None:
    """No handler is passed."""
    made = runspan.instrument(
        tracer_provider=tracers, meter_provider=meters, logger_provider=loggers, settings=settings()
    )
    assert_type(made, runspan.OpenTelemetryCallbackHandler)
    runspan.uninstrument()
    runspan.RunspanInstrumentor().instrument()


def across_processes(headers: dict[str, str], message: Message, request: Request) -> None:
    """Headers out, headers in."""
    assert_type(runspan.inject(headers), dict[str, str])
    with runspan.extract(headers), runspan.extract(message), runspan.extract(request.headers):
        pass
    with runspan.extract(None):
        pass


def in_a_test(provider: AnyTracerProvider) -> None:
    """What a test asks of its trace."""
    with testing.Trace(tracer_provider=provider, settings=settings()) as trace:
        assert_type(trace, testing.Trace)
    assert_type(trace.handler, runspan.OpenTelemetryCallbackHandler)
    assert_type(trace.tree(times=True, attributes=["error.type"], links=True, sort=True), str)
    assert_type(testing.RecordedTrace([trace.spans[0].span]).tools(), list[tuple[str, Any]])
    assert_type(trace.tokens, testing.Tokens)
    assert_type(trace.messages(), list[testing.Message])
    assert_type(trace.first("chat*", has={"error.type": "tool_error"}, within="agent"), testing.RecordedSpan)
    assert_type(trace.find(has="error.type", within=trace.roots[0]), list[testing.RecordedSpan])
    trace.assert_tools(["weather", ("book", {"city": "Oslo"})], order="subset")
