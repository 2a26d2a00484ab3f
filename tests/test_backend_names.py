"""Each backend gets the names that it reads, so that no count is there twice."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import runspan
from runspan.processors.wrapper import SpanCopy
from tests.fakes import Model
from tests.otlp_receivers import HttpReceiver
from tests.programs import run_python

USAGE = {
    "input_tokens": 1000,
    "output_tokens": 90,
    "total_tokens": 1090,
    "input_token_details": {"cache_read": 300, "cache_creation": 600, "audio": 40},
    "output_token_details": {"reasoning": 20, "audio": 5},
}
READ_BY_ALL = {
    "input_tokens": 1000,
    "output_tokens": 90,
    "cache_read.input_tokens": 300,
    "reasoning.output_tokens": 20,
}
MODALITIES = {"audio.input_tokens": 40, "audio.output_tokens": 5}
EXPECTED = {
    None: READ_BY_ALL | MODALITIES | {"cache_creation.input_tokens": 600, "cache_write.input_tokens": 600},
    "jaeger": READ_BY_ALL | MODALITIES | {"cache_creation.input_tokens": 600},
    "langfuse": READ_BY_ALL | {"cache_creation.input_tokens": 600},
    "mlflow": READ_BY_ALL | MODALITIES | {"cache_write.input_tokens": 600},
    "phoenix": READ_BY_ALL | MODALITIES | {"cache_creation.input_tokens": 600},
}


def usage_in(attributes):
    """Return the counts among attributes, without what their names begin with."""
    prefix = "gen_ai.usage."
    return {name.removeprefix(prefix): value for name, value in attributes.items() if name.startswith(prefix)}


class Sent:
    """A provider whose spans go to a backend, and what gets there."""

    def __init__(self, backend):
        self.exporter = InMemorySpanExporter()
        processor = SimpleSpanProcessor(self.exporter)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(
            processor if backend is None else runspan.BackendSpanProcessor(processor, backend)
        )
        self.handler = runspan.OpenTelemetryCallbackHandler(tracer_provider=self.provider)

    def only(self):
        (span,) = self.exporter.get_finished_spans()
        return span


@pytest.mark.parametrize("backend", EXPECTED)
def test_usage_of_a_model(backend):
    """A backend gets what it reads by the name that it reads; Langfuse no parts that it would add to the sum."""
    sent = Sent(backend)
    Model(usage=USAGE).invoke("a", {"callbacks": [sent.handler]})
    assert usage_in(sent.only().attributes) == EXPECTED[backend]


def test_release_and_cost_have_langfuses_names():
    """Langfuse reads the release of a trace, and the cost of a call, by names of its own; elsewhere they have ours."""
    names = {"langfuse": {"langfuse.release", "gen_ai.usage.cost"}}
    for backend in EXPECTED:
        sent = Sent(backend)
        given = {"service.version": "2.1", "gen_ai.usage.cost.amount": 0.5}
        sent.provider.get_tracer("app").start_span("app", attributes=given).end()
        assert sent.only().attributes.keys() == names.get(backend, given.keys())


@pytest.mark.parametrize(("backend", "name"), [("phoenix", "cache_creation"), ("mlflow", "cache_write")])
def test_spans_of_others(backend, name):
    """A span that has a count by the other name alone gets it by the one that is read, and is the same otherwise."""
    sent = Sent(backend)
    other = "cache_write" if name == "cache_creation" else "cache_creation"
    with sent.provider.get_tracer("sdk").start_as_current_span("sdk") as span:
        span.set_attributes({f"gen_ai.usage.{other}.input_tokens": 7, "a": "b"})
        span.add_event("retry")
    copy = sent.only()
    assert dict(copy.attributes) == {f"gen_ai.usage.{name}.input_tokens": 7, "a": "b"}
    assert copy.context == span.context
    assert [event.name for event in copy.events] == ["retry"]


def test_a_span_without_such_names_is_passed_on_itself():
    """What needs no other name is not copied."""
    sent = Sent("langfuse")
    with sent.provider.get_tracer("app").start_as_current_span("app") as span:
        span.set_attribute("a", "b")
    assert not isinstance(sent.only(), SpanCopy)


def test_configure_names_them():
    """``configure(backend=...)`` sends such names to its endpoint."""
    with HttpReceiver() as receiver:
        run_python(PROGRAM, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        (span,) = receiver.wait_for(1)
    assert usage_in(span["attributes"]) == EXPECTED["langfuse"]


PROGRAM = f"""
import runspan
from runspan.processors.wrapper import SpanCopy
from tests.fakes import Model

with runspan.configure(backend="langfuse"):
    Model(usage={USAGE!r}).invoke("a", {{"callbacks": [runspan.OpenTelemetryCallbackHandler()]}})
"""
