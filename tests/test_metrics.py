"""Metrics of runs, read from the SDK and from a real OTLP receiver."""

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider

from runspan import semconv
from runspan.semconv.name_table import NAMES
from runspan.signals.metrics import MOST_VALUES_OF_A_LABEL, RunMetrics, run_metrics
from tests.otlp_receivers import receive_bodies

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
CALLS = (1, 2, 4, 8, 16, 32, 64, 128)

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4"}


class Metrics:
    """A meter provider in memory, and what was recorded as plain values."""

    def __init__(self, **options) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.runs = RunMetrics(self.provider, **options)

    def metrics(self) -> list:
        data = self.reader.get_metrics_data()
        return (
            [metric for of in data.resource_metrics for s in of.scope_metrics for metric in s.metrics] if data else []
        )

    def recorded(self) -> dict:
        """Return for each metric what was recorded with which labels: a sum, or how often and the sum."""
        return {metric.name: [_point(point) for point in metric.data.data_points] for metric in self.metrics()}


def _point(point) -> tuple:
    labels = dict(point.attributes)
    return (labels, point.value) if hasattr(point, "value") else (labels, point.count, pytest.approx(point.sum))


@pytest.fixture
def metrics():
    """Record into memory."""
    return Metrics()


def test_a_call_of_a_model(metrics):
    """A model's call gives its time, its tokens by kind, and nothing of a stream or of an error."""
    answered = CHAT | {"gen_ai.response.model": "gpt-4-0613"}
    usage = {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_write.input_tokens": 20,
        "gen_ai.usage.cache_creation.input_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 30,
    }
    metrics.runs.record({**answered, **usage, "langchain.run.id": "1", "gen_ai.conversation.id": "c"}, 1.5)
    unknown = answered | {"gen_ai.token.modality": "unknown"}
    assert metrics.recorded() == {
        "gen_ai.client.inference.duration": [(answered, 1, 1.5)],
        "gen_ai.client.inference.usage.input_tokens": [(unknown, 100)],
        "gen_ai.client.inference.usage.output_tokens": [(unknown, 50)],
        "gen_ai.client.inference.usage.cache_read.input_tokens": [(unknown, 40)],
        "gen_ai.client.inference.usage.cache_write.input_tokens": [(unknown, 20)],
        "gen_ai.client.inference.usage.reasoning.output_tokens": [(unknown, 30)],
        "gen_ai.client.inference.operation.input_tokens": [(answered, 1, 100)],
        "gen_ai.client.inference.operation.output_tokens": [(answered, 1, 50)],
    }


def test_the_modalities_of_tokens(metrics):
    """Tokens count by modality as far as it is known; the rest is unknown, and so is all if the parts exceed it."""
    metrics.runs.record(
        {
            **CHAT,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.audio.input_tokens": 20,
            "gen_ai.usage.image.input_tokens": 30,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.text.output_tokens": 8,
        },
        1,
    )
    recorded = metrics.recorded()
    assert {
        labels["gen_ai.token.modality"]: tokens
        for labels, tokens in recorded["gen_ai.client.inference.usage.input_tokens"]
    } == {"audio": 20, "image": 30, "unknown": 50}
    assert recorded["gen_ai.client.inference.usage.output_tokens"] == [(CHAT | {"gen_ai.token.modality": "unknown"}, 7)]


def test_modalities_that_are_the_whole(metrics):
    """Where the modalities are all of a usage, none of it is unknown."""
    metrics.runs.record({**CHAT, "gen_ai.usage.input_tokens": 9, "gen_ai.usage.text.input_tokens": 9}, 1)
    assert metrics.recorded()["gen_ai.client.inference.usage.input_tokens"] == [
        (CHAT | {"gen_ai.token.modality": "text"}, 9)
    ]


def test_a_stream(metrics):
    """A streamed answer gives the time to its first chunk, once, and the time before each later one."""
    metrics.runs.record(CHAT, 2, chunk_seconds=[0.5, 0.75, 1.75])
    assert metrics.recorded() == {
        "gen_ai.client.inference.duration": [(CHAT, 1, 2)],
        "gen_ai.client.inference.time_to_first_chunk": [(CHAT, 1, 0.5)],
        "gen_ai.client.inference.time_per_output_chunk": [(CHAT, 2, 1.25)],
    }


def test_a_call_that_failed(metrics):
    """The type of an error is a label of the time alone; tokens that were counted until then count."""
    metrics.runs.record({**CHAT, "error.type": "TimeoutError", "gen_ai.usage.input_tokens": 3}, 1)
    assert metrics.recorded() == {
        "gen_ai.client.inference.duration": [(CHAT | {"error.type": "TimeoutError"}, 1, 1)],
        "gen_ai.client.inference.usage.input_tokens": [(CHAT | {"gen_ai.token.modality": "unknown"}, 3)],
        "gen_ai.client.inference.operation.input_tokens": [(CHAT, 1, 3)],
    }


@pytest.mark.parametrize(
    ("attributes", "recorded"),
    [
        (
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "flights", "gen_ai.tool.type": "function"},
            {
                "gen_ai.execute_tool.duration": [
                    ({"gen_ai.tool.name": "flights", "gen_ai.tool.type": "function", "error.type": "ValueError"}, 1, 3)
                ]
            },
        ),
        (
            {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "secret"},
            {
                "gen_ai.client.operation.duration": [
                    ({"gen_ai.operation.name": "retrieval", "error.type": "ValueError"}, 1, 3)
                ]
            },
        ),
        (
            {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "plan_trip"},
            {
                "gen_ai.invoke_workflow.duration": [
                    ({"gen_ai.workflow.name": "plan_trip", "error.type": "ValueError"}, 1, 3)
                ]
            },
        ),
        (
            {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e", "gen_ai.usage.input_tokens": 5},
            {
                "gen_ai.client.embeddings.duration": [
                    (
                        {
                            "gen_ai.operation.name": "embeddings",
                            "gen_ai.request.model": "e",
                            "error.type": "ValueError",
                        },
                        1,
                        3,
                    )
                ],
                "gen_ai.client.embeddings.operation.input_tokens": [
                    ({"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e"}, 1, 5)
                ],
            },
        ),
    ],
    ids=lambda value: value.get("gen_ai.operation.name", ""),
)
def test_other_operations(metrics, attributes, recorded):
    """Tools, retrievals, workflows and embeddings have metrics of their own, with the labels of the conventions."""
    metrics.runs.record({**attributes, "error.type": "ValueError"}, 3)
    assert metrics.recorded() == recorded


def test_an_agent(metrics):
    """An agent gives its time and how often it called models and tools; its tokens are those of its models."""
    agent = {"gen_ai.agent.name": "planner", "gen_ai.usage.input_tokens": 100}
    metrics.runs.record({"gen_ai.operation.name": "invoke_agent", **agent}, 9, calls=(3, 0))
    named = {"gen_ai.agent.name": "planner"}
    assert metrics.recorded() == {
        "gen_ai.invoke_agent.duration": [(named, 1, 9)],
        "gen_ai.invoke_agent.inference_calls": [(named, 1, 3)],
        "gen_ai.invoke_agent.tool_calls": [(named, 1, 0)],
    }


@pytest.mark.parametrize("attributes", [{}, {"langchain.run.type": "chain"}, {"gen_ai.operation.name": "other"}])
def test_runs_without_metrics(metrics, attributes):
    """Chains, and operations that have no metric, record nothing."""
    metrics.runs.record(attributes, 1, chunk_seconds=[1], calls=(1, 1))
    assert metrics.recorded() == {}


def test_legacy_names():
    """By choice, calls of models are also recorded as older backends know them."""
    metrics = Metrics(legacy_names=True)
    metrics.runs.record({**CHAT, "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4}, 1)
    recorded = metrics.recorded()
    assert recorded["gen_ai.client.operation.duration"] == [(CHAT, 1, 1)]
    assert recorded["gen_ai.client.token.usage"] == [
        (CHAT | {"gen_ai.token.type": "input"}, 1, 3),
        (CHAT | {"gen_ai.token.type": "output"}, 1, 4),
    ]
    assert "gen_ai.client.inference.duration" in recorded


def test_units_and_buckets():
    """Every instrument has the unit and the buckets of the conventions."""
    metrics = Metrics(legacy_names=True)
    usage = [name.name for name in NAMES if name.name.startswith("gen_ai.usage.")]
    for operation in ("chat", "embeddings", "retrieval", "execute_tool", "invoke_agent", "invoke_workflow"):
        attributes = {"gen_ai.operation.name": operation, **dict.fromkeys(usage, 10)}
        metrics.runs.record(attributes, 1, chunk_seconds=[1, 2], calls=(1, 1))
    units = {
        metric.name: (metric.unit, getattr(metric.data.data_points[0], "explicit_bounds", None))
        for metric in metrics.metrics()
    }
    assert units == {
        "gen_ai.client.inference.duration": ("s", SECONDS),
        "gen_ai.client.inference.time_to_first_chunk": ("s", SECONDS),
        "gen_ai.client.inference.time_per_output_chunk": ("s", SECONDS),
        "gen_ai.client.inference.usage.input_tokens": ("{token}", None),
        "gen_ai.client.inference.usage.output_tokens": ("{token}", None),
        "gen_ai.client.inference.usage.cache_read.input_tokens": ("{token}", None),
        "gen_ai.client.inference.usage.cache_write.input_tokens": ("{token}", None),
        "gen_ai.client.inference.usage.reasoning.output_tokens": ("{token}", None),
        "gen_ai.client.inference.operation.input_tokens": ("{token}", TOKENS),
        "gen_ai.client.inference.operation.output_tokens": ("{token}", TOKENS),
        "gen_ai.client.operation.duration": ("s", SECONDS),
        "gen_ai.client.embeddings.duration": ("s", SECONDS),
        "gen_ai.client.embeddings.operation.input_tokens": ("{token}", TOKENS),
        "gen_ai.execute_tool.duration": ("s", SECONDS),
        "gen_ai.invoke_agent.duration": (
            "s",
            (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6),
        ),
        "gen_ai.invoke_agent.inference_calls": ("{inference_call}", CALLS),
        "gen_ai.invoke_agent.tool_calls": ("{tool_call}", CALLS),
        "gen_ai.invoke_workflow.duration": ("s", (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)),
        "gen_ai.client.token.usage": ("{token}", TOKENS),
    }


def test_labels_are_bounded(metrics):
    """A label that is made up for each request becomes `_OTHER` after some hundred values; known ones stay."""
    for number in range(MOST_VALUES_OF_A_LABEL + 50):
        metrics.runs.record({**CHAT, "gen_ai.request.model": f"model-{number}"}, 1)
    metrics.runs.record({**CHAT, "gen_ai.request.model": "model-0"}, 1)
    (points,) = metrics.recorded().values()
    counts = {labels["gen_ai.request.model"]: count for labels, count, _ in points}
    assert len(counts) == MOST_VALUES_OF_A_LABEL + 1
    assert (counts["_OTHER"], counts["model-0"], counts["model-1"]) == (50, 2, 1)


def test_what_a_clock_that_went_back_says(metrics):
    """Times that can't be are recorded as none at all."""
    metrics.runs.record(CHAT, -1, chunk_seconds=[-0.5, -1])
    assert [points for (points,) in metrics.recorded().values()] == [(CHAT, 1, 0)] * 3


@given(st.dictionaries(st.sampled_from([name.name for name in NAMES]), st.none() | st.integers() | st.text()))
def test_odd_attributes(attributes):
    """Whatever an attribute holds, recording goes on."""
    RunMetrics(MeterProvider(shutdown_on_exit=False)).record({**attributes, "gen_ai.operation.name": "chat"}, 1)


def test_exemplars_name_the_span(metrics):
    """A measurement leads to the run that it is of."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    metrics.runs.record(CHAT, 1, span=span)
    (metric,) = metrics.metrics()
    (exemplar,) = metric.data.data_points[0].exemplars
    assert (exemplar.trace_id, exemplar.span_id) == (span.context.trace_id, span.context.span_id)


def test_one_object_for_a_provider():
    """Handlers of one provider share their instruments, and a provider that nobody needs is collected."""
    provider = MeterProvider(shutdown_on_exit=False)
    assert run_metrics(provider) is run_metrics(provider)
    assert run_metrics(provider) is not run_metrics(provider, legacy_names=True)
    gone = weakref.ref(provider)
    provider.shutdown()
    del provider
    gc.collect()
    assert gone() is None


def test_over_otlp():
    """A receiver gets what was recorded."""
    with receive_bodies() as (address, bodies):
        exporter = OTLPMetricExporter(endpoint=f"{address}/v1/metrics")
        provider = MeterProvider([PeriodicExportingMetricReader(exporter)], shutdown_on_exit=False)
        RunMetrics(provider).record({**CHAT, "gen_ai.usage.input_tokens": 3}, 1)
        provider.shutdown()
    request = ExportMetricsServiceRequest.FromString(bodies[0])
    of_scope = request.resource_metrics[0].scope_metrics[0]
    assert (of_scope.scope.name, of_scope.schema_url) == ("runspan", semconv.SCHEMA_URL)
    assert [metric.name for metric in of_scope.metrics] == [
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.operation.input_tokens",
    ]


def test_absurd_counts_end_no_exports():
    """After answers with numbers that no call can have used, all metrics of the process still arrive."""
    with receive_bodies() as (address, bodies):
        exporter = OTLPMetricExporter(endpoint=f"{address}/v1/metrics")
        provider = MeterProvider([PeriodicExportingMetricReader(exporter)], shutdown_on_exit=False)
        orders = provider.get_meter("shop").create_counter("orders")
        runs = RunMetrics(provider)
        for absurd in (2**63 - 100, 2**63 - 100, 2**53, 2**64, -5, True, float("nan"), "3", 10):
            runs.record({**CHAT, "server.port": absurd, "gen_ai.usage.input_tokens": absurd}, 1)
        orders.add(1)
        provider.shutdown()
    request = ExportMetricsServiceRequest.FromString(bodies[0])
    sums = {
        metric.name: sum(point.as_int for point in metric.sum.data_points)
        for of_scope in request.resource_metrics[0].scope_metrics
        for metric in of_scope.metrics
    }
    assert sums["orders"] == 1
    assert sums["gen_ai.client.inference.usage.input_tokens"] == 10
