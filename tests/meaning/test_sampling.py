"""What is done for runs that are not sampled: nothing, where that is certain beforehand."""

import pytest
from langchain_core.prompts import ChatPromptTemplate
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NoOpTracerProvider, SpanContext, TraceFlags

from benchmarks.workloads import Model
from runspan import OpenTelemetryCallbackHandler, payload
from runspan.runs.sampling import dropped_below


class Derived(ParentBased):
    """Samples models, whatever their parent is."""

    def should_sample(self, parent_context, trace_id, name, *args, **kwargs):
        """Look at the name."""
        sampler = ALWAYS_ON if name.startswith("chat") else ALWAYS_OFF
        return sampler.should_sample(parent_context, trace_id, name, *args, **kwargs)


class RecordsOnly(Sampler):
    """Has spans recorded that are not exported."""

    def should_sample(self, *args, **kwargs):
        """Record."""
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self):
        """Return a name."""
        return "RecordsOnly"


def context(*, is_remote=False, is_sampled=False):
    """Return the ids of a parent."""
    return SpanContext(1, 1, is_remote, TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT))


@pytest.mark.parametrize(
    ("sampler", "below_root", "below_dropped"),
    [
        (ALWAYS_OFF, True, True),
        (ALWAYS_ON, False, False),
        (DEFAULT_ON, False, True),
        (DEFAULT_OFF, False, True),
        (ParentBased(TraceIdRatioBased(0.1)), False, True),
        (ParentBased(ALWAYS_ON, local_parent_not_sampled=TraceIdRatioBased(0.1)), False, False),
        (Derived(ALWAYS_ON), False, False),
        (RecordsOnly(), False, False),
    ],
    ids=["off", "on", "parent", "parent or off", "ratio", "ratio below", "derived", "own"],
)
def test_only_own_samplers_are_certain(sampler, below_root, below_dropped):
    """What OpenTelemetry's samplers drop below a parent is known beforehand; a derived class may do anything."""
    is_dropped = dropped_below(TracerProvider(sampler=sampler, shutdown_on_exit=False))
    assert is_dropped(INVALID_SPAN_CONTEXT) is below_root
    assert is_dropped(context()) is below_dropped
    assert is_dropped(context(is_sampled=True)) is is_dropped(context(is_remote=True)) is below_root


def test_nothing_is_sampled_without_the_sdk():
    """A provider of the API alone samples nothing."""
    assert dropped_below(NoOpTracerProvider())(INVALID_SPAN_CONTEXT)


def traced(sampler):
    """Return the names of the spans of a chain with a sampler, those of what was read, and what was current within."""
    exporter, current = InMemorySpanExporter(), []
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider)

    class Asking(Model):
        def _generate(self, *args, **kwargs):
            current.append(trace.get_current_span().get_span_context())
            return super()._generate(*args, **kwargs)

    chain = ChatPromptTemplate.from_template("What is 1 + {number}?") | Asking()
    chain.invoke({"number": "2"}, {"callbacks": [handler]})
    assert handler.open_runs == 0
    return [span.name for span in exporter.get_finished_spans()], current[0]


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, DEFAULT_OFF], ids=["off", "parent or off"])
def test_runs_that_are_dropped_are_not_read(monkeypatch, sampler):
    """Below a run that is not sampled nothing is read; what is current there has a trace id and is not sampled."""
    read = []
    model_start = payload.model_start
    monkeypatch.setattr(
        payload, "model_start", lambda *args, **keywords: read.append(1) or model_start(*args, **keywords)
    )
    spans, current = traced(sampler)
    assert (spans, read) == ([], [])
    assert current.is_valid
    assert not current.trace_flags.sampled


def test_a_sampler_of_the_application_sees_each_run():
    """A model below a chain that is not sampled is sampled, if the application's sampler says so by its name."""
    spans, current = traced(Derived(ALWAYS_ON))
    assert spans == ["chat bench"]
    assert current.trace_flags.sampled


def test_what_is_recorded_and_not_sampled_is_read():
    """A span that is recorded for processors alone has the attributes of its run."""
    ended = []
    provider = TracerProvider(sampler=ParentBased(RecordsOnly()), shutdown_on_exit=False)

    class Keeping(SimpleSpanProcessor):
        def on_end(self, span):
            ended.append(span)

    provider.add_span_processor(Keeping(InMemorySpanExporter()))
    Model().invoke("hi", {"callbacks": [OpenTelemetryCallbackHandler(tracer_provider=provider)]})
    assert [span.attributes["gen_ai.usage.input_tokens"] for span in ended] == [16]
