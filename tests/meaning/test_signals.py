"""What runs tell beside their spans: metrics, also of what is sampled out, and events in the run's trace context."""

import logging

import pytest
from langchain_core.callbacks import dispatch_custom_event
from langchain_core.runnables import RunnableLambda
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from runspan import OpenTelemetryCallbackHandler, Settings
from tests.fakes import USAGE, Model, body, tool
from tests.tracing import SlowSampler


def failing(messages):
    """Answer with an error that repeats the question."""
    return ValueError(messages[0].content)


@pytest.fixture
def reader():
    """Read metrics from memory."""
    reader = InMemoryMetricReader()
    yield reader
    reader.shutdown()


def metrics_of(reader):
    """Return all metrics that were recorded."""
    scopes = [scope for resource in reader.get_metrics_data().resource_metrics for scope in resource.scope_metrics]
    return [metric for scope in scopes for metric in scope.metrics]


def measured(reader):
    """Return of each metric how many or how much, by operation and error."""
    found = {}
    for metric in metrics_of(reader):
        for point in metric.data.data_points:
            labels = point.attributes
            key = (metric.name, labels.get("gen_ai.tool.name") or labels.get("gen_ai.operation.name"))
            found[(*key, labels.get("error.type"))] = getattr(point, "count", None) or point.value
    return found


@pytest.mark.parametrize("is_sampled", [True, False])
def test_metrics_of_a_chain(tracing, reader, is_sampled):
    """Models and tools are measured once each, sampled or not, by however many handlers; chains are not."""
    provider = tracing.provider if is_sampled else TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    meters = MeterProvider([reader], shutdown_on_exit=False)
    handlers = [OpenTelemetryCallbackHandler(tracer_provider=provider, meter_provider=meters) for _ in range(2)]
    config = {"callbacks": handlers}
    (body(tracing, "first") | Model(tracing=tracing, usage=USAGE)).invoke("x", config)
    tool(tracing).invoke({"x": 1}, config)
    with pytest.raises(ValueError, match="x"):
        Model(answer=failing).invoke("x", config)
    assert measured(reader) == {
        ("gen_ai.client.inference.duration", "chat", None): 1,
        ("gen_ai.client.inference.duration", "chat", "ValueError"): 1,
        ("gen_ai.client.inference.operation.input_tokens", "chat", None): 1,
        ("gen_ai.client.inference.operation.output_tokens", "chat", None): 1,
        ("gen_ai.client.inference.usage.input_tokens", "chat", None): 7,
        ("gen_ai.client.inference.usage.output_tokens", "chat", None): 5,
        ("gen_ai.execute_tool.duration", "look", None): 1,
    }


def test_metrics_of_a_stream(tracing, reader):
    """A streamed call has the time to its first chunk and those between; one that is left early counts, too."""
    meters = MeterProvider([reader], shutdown_on_exit=False)
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, meter_provider=meters)
    chunks = len(list(Model(tracing=tracing).stream("x", {"callbacks": [handler]})))
    found = measured(reader)
    assert found["gen_ai.client.inference.time_to_first_chunk", "chat", None] == 1
    assert found["gen_ai.client.inference.time_per_output_chunk", "chat", None] == chunks - 1
    stream = (body(tracing, "first") | Model(tracing=tracing)).stream("x", {"callbacks": [handler]})
    next(stream)
    stream.close()
    assert measured(reader)["gen_ai.client.inference.duration", "chat", None] == 2


def test_what_is_measured_agrees_with_the_span(tracing, reader):
    """The duration that is measured is the span's, and its first chunk comes within it, also behind a slow sampler."""
    tracing.provider.sampler = SlowSampler()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, meter_provider=meters)
    list(Model(tracing=tracing).stream("x", {"callbacks": [handler]}))
    span = tracing.one("chat")
    seconds = (span.end_time - span.start_time) / 1e9
    first_chunk = span.attributes["gen_ai.response.time_to_first_chunk"]
    assert 0 < first_chunk <= seconds
    sums = {metric.name: metric.data.data_points[0].sum for metric in metrics_of(reader)}
    assert sums["gen_ai.client.inference.duration"] == seconds
    assert sums["gen_ai.client.inference.time_to_first_chunk"] == first_chunk


def test_metrics_by_both_names(tracing, reader):
    """A setting adds the metrics and attributes that older backends read."""

    class Counting(Model):
        """A class without a provider of its own, which is named after the class."""

    meters = MeterProvider([reader], shutdown_on_exit=False)
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, meter_provider=meters, settings=Settings(semconv="latest_and_legacy")
    )
    Counting(tracing=tracing, usage=USAGE).invoke("x", {"callbacks": [handler]})
    assert {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"} < {key[0] for key in measured(reader)}
    assert tracing.one("chat").attributes["gen_ai.system"] == "counting"


class Logger:
    """Keeps the events that it is to emit."""

    def __init__(self):
        self.records = []

    def get_logger(self, *_, **__):
        return self

    def enabled(self, **_):
        return True

    def emit(self, **record):
        self.records.append(record)


def test_events(tracing):
    """A call's details, its failure, and what the application dispatches, each in the context of its run."""
    logger = Logger()
    settings = Settings(capture_content="span_and_event")
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, logger_provider=logger, settings=settings)
    config = {"callbacks": [handler]}
    RunnableLambda(lambda x: dispatch_custom_event("progress", {"done": 1}), name="work").invoke("x", config)
    Model(tracing=tracing, usage=USAGE).invoke("x", config)
    with pytest.raises(ValueError, match="x"):
        Model(answer=failing).invoke("x", config)
    assert [record["event_name"] for record in logger.records] == [
        "langchain.custom",
        "gen_ai.client.inference.operation.details",
        "gen_ai.client.inference.operation.details",
        "gen_ai.client.operation.exception",
    ]
    custom, details, _, failed = [record["attributes"] for record in logger.records]
    assert custom == {"langchain.event.name": "progress", "langchain.event.data": {"done": 1}}
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "three"}], "finish_reason": "stop"}
    assert details["gen_ai.output.messages"] == [answer]
    assert details["gen_ai.usage.input_tokens"] == 7
    assert failed["exception.type"] == "ValueError"


def test_events_without_content(tracing):
    """Without content no event tells a word of the user's."""
    logger = Logger()
    settings = Settings(capture_content="none")
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, logger_provider=logger, settings=settings)
    config = {"callbacks": [handler], "tags": ["secret"]}
    RunnableLambda(lambda x: dispatch_custom_event("progress", "secret")).invoke("x", config)
    with pytest.raises(ValueError, match="secret"):
        Model(answer=failing).invoke("secret", config)
    assert len(logger.records) == 3
    assert "secret" not in str([record["attributes"] for record in logger.records])


@pytest.mark.parametrize("choice", ["none", "span", "event", "span_and_event"])
@pytest.mark.parametrize("is_sampled", [True, False])
def test_content_goes_where_the_switch_says(choice, is_sampled):
    """Messages, tags, stop sequences and texts of errors are on spans, in events, in both or in neither."""
    sampler = None if is_sampled else ALWAYS_OFF
    exporter, logger = InMemorySpanExporter(), Logger()
    provider = TracerProvider(sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=provider, logger_provider=logger, settings=Settings(capture_content=choice)
    )
    config = {"callbacks": [handler], "tags": ["a-tag"]}
    Model().bind(stop=["a-stop"]).invoke("a-question", config)
    with pytest.raises(ValueError, match="a-question"):
        Model(answer=failing).invoke("a-question", config)
    RunnableLambda(lambda x: dispatch_custom_event("progress", "a-question")).invoke("x", config)
    spans = "".join(span.to_json() for span in exporter.get_finished_spans())
    events = [str(record["attributes"]) for record in logger.records]
    words = ("a-question", "a-tag", "a-stop", "three")
    assert {word for word in words if word in spans} == (set(words) if is_sampled and "span" in choice else set())
    assert {word for word in words if word in "".join(events)} == (set(words) if "event" in choice else set())
    assert [event.count("a-question") > 0 for event in events] == ["event" in choice] * 4


def test_without_providers_nothing_is_logged(tracing, caplog):
    """Who has neither metrics nor events set up hears nothing of them."""
    caplog.set_level(logging.DEBUG)
    Model(tracing=tracing, usage=USAGE).invoke("x", tracing.config)
    assert caplog.records == []


def test_what_is_no_logger_provider():
    """It is an error that names it."""
    with pytest.raises(TypeError, match="7"):
        OpenTelemetryCallbackHandler(logger_provider=7)
