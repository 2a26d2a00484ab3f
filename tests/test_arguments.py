"""Wrong arguments are errors of one line that name the argument, the value and what to give, at once."""

import asyncio
import re
from functools import partial

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import (
    AiOnlySpanProcessor,
    BackendSpanProcessor,
    KeepingSpanProcessor,
    OneCallSpanProcessor,
    OpenTelemetryCallbackHandler,
    OtlpSpanProcessor,
    Settings,
    Spool,
    configure,
    record_evaluation,
)

HUGE = 10**400
NAN = float("nan")
TRACEPARENT = f"00-{'1' * 32}-{'1' * 16}-01"

BACKEND = partial(BackendSpanProcessor, backend="jaeger")
keeping = partial(KeepingSpanProcessor, SpanProcessor())
backend = partial(BackendSpanProcessor, SpanProcessor())
otlp = partial(OtlpSpanProcessor, "http://localhost:1")
spool = partial(Spool, "folder")
evaluate = partial(record_evaluation, TRACEPARENT, "relevance")


@pytest.mark.parametrize(
    ("call", "argument", "value", "remedy"),
    [
        (keeping, "errors", "x", "True or False"),
        (keeping, "errors", 1, "True or False"),
        (keeping, "max_bytes", HUGE, "at most 9223372036854775807"),
        (keeping, "max_bytes", True, "a number"),
        (keeping, "max_bytes", NAN, "1 or more"),
        (keeping, "slower_than", HUGE, "at most 9223372036854775807"),
        (keeping, "slower_than", True, "a number"),
        (keeping, "share", HUGE, "from 0 to 1"),
        (keeping, "share", 2, "from 0 to 1"),
        (keeping, "share", True, "a number"),
        (AiOnlySpanProcessor, "processor", 5, "an instance of OpenTelemetry's SpanProcessor"),
        (OneCallSpanProcessor, "processor", SpanProcessor, "an instance of OpenTelemetry's SpanProcessor"),
        (backend, "backend", ["jaeger"], "'jaeger', 'langfuse', 'mlflow', 'phoenix' or None"),
        (spool, "max_bytes", HUGE, "a number above 0"),
        (spool, "interval_seconds", HUGE, "a number above 0"),
        (spool, "max_age_seconds", True, "a number above 0"),
        (otlp, "max_request_bytes", 0, "16384 or more"),
        (otlp, "max_request_bytes", True, "a whole number"),
        (otlp, "max_request_bytes", "4 MB", "a whole number"),
        (otlp, "max_request_bytes", 20_000.5, "a whole number"),
        (otlp, "max_request_bytes", HUGE, "at most 9223372036854775807"),
        (otlp, "started_markers", "x", "True or False"),
        (otlp, "shutdown_timeout_seconds", "x", "a number"),
        (otlp, "shutdown_timeout_seconds", None, "a number"),
        (otlp, "shutdown_timeout_seconds", NAN, "a number"),
        (configure, "service_name", 5, "a text"),
        (configure, "resource_attributes", [("a", "b")], "a dictionary"),
        (configure, "console", "x", "True, False or 'live'"),
        (configure, "started_markers", None, "True or False"),
        (configure, "sigterm", 0, "True or False"),
        (configure, "max_request_bytes", -1, "16384 or more"),
        (configure, "exit_timeout", "x", "a number"),
        (configure, "exit_timeout", -1, "0 or more"),
        (configure, "exit_timeout", NAN, "0 or more"),
        (configure, "exit_timeout", HUGE, "at most 9223372036854775807"),
        (configure, "backend", {}, "'jaeger', 'langfuse', 'mlflow', 'phoenix' or None"),
        (partial(evaluate, value=1), "as_span", "x", "True or False"),
        (evaluate, "value", HUGE, "a finite number"),
        (evaluate, "value", -HUGE, "a finite number"),
        (OpenTelemetryCallbackHandler().force_flush, "timeout", "x", "a number"),
        (OpenTelemetryCallbackHandler().force_flush, "timeout", NAN, "a number"),
        (OpenTelemetryCallbackHandler().shutdown, "timeout", None, "a number"),
        (otlp().force_flush, "timeout_millis", "x", "a number"),
        (otlp().close, "timeout_seconds", NAN, "a number"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_wrong_argument_is_an_error_of_one_line(call, argument, value, remedy):
    """The error says which argument has which value, and what it must be."""
    shown = re.escape(str(value)[:150]) if value is HUGE or value == -HUGE else re.escape(repr(value))
    with pytest.raises((TypeError, ValueError), match=rf"^{argument} is {shown}.*; it must be {remedy}\.$") as error:
        call(**{argument: value})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("wrap", [AiOnlySpanProcessor, OneCallSpanProcessor, KeepingSpanProcessor, BACKEND])
def test_an_exporter_is_no_processor(wrap):
    """An exporter where a processor belongs is an error that says what to put around it."""
    exporter = InMemorySpanExporter()
    with pytest.raises(TypeError) as caught:
        wrap(exporter)
    assert str(caught.value) == (
        f"processor is {exporter!r}; it must be an instance of OpenTelemetry's SpanProcessor."
        " Put one around the exporter, such as OpenTelemetry's BatchSpanProcessor(exporter)."
    )


@pytest.mark.parametrize("option", ["max_attribute_bytes", "max_span_bytes", "max_trace_bytes"])
@pytest.mark.parametrize("value", [True, False, 0, -1, 1.5, "1 MB", HUGE])
def test_a_number_of_bytes_is_one(option, value):
    """A setting that is a number of bytes takes no bool, nothing below 1 and nothing that no computer has."""
    with pytest.raises(ValueError, match=rf"^Settings: {option} = [^\n]* is not allowed\. [^\n]*\.$"):
        Settings(**{option: value})


@pytest.mark.parametrize(("value", "meaning"), [(1, "all"), (True, "all"), (0, "none"), (False, "none"), ("1", "all")])
def test_one_means_true(value, meaning):
    """``capture_chains=1`` records as True does; it recorded nothing."""
    assert Settings(capture_chains=value).capture_chains == meaning


@pytest.mark.parametrize("timeout", [-1, 0, float("-inf"), float("inf"), HUGE, 1.5])
def test_any_number_is_a_timeout(timeout):
    """Where nothing waits a flush and a shutdown are done at once, whatever time they are given."""
    provider = TracerProvider(shutdown_on_exit=False)
    processor = otlp()
    assert processor.force_flush(timeout)
    assert processor.close(timeout)
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider)
    assert asyncio.run(handler.aflush(timeout))
    if timeout > 0:
        assert handler.force_flush(timeout)
        assert handler.shutdown(timeout)
