"""The counters of delivery, as a reader of OpenTelemetry metrics sees them."""

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from runspan.export.otlp.result import Success
from runspan.export.stats import by_destination, observe_deliveries
from tests.export.memory import FAILS, Memory, end_spans


@pytest.fixture
def collected():
    """Give a function that returns metrics as {name: {labels: value}}, those of one destination."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    observe_deliveries(provider)
    observe_deliveries(provider)

    def collect(destination):
        found = {}
        for of_resource in reader.get_metrics_data().resource_metrics:
            for metric in of_resource.scope_metrics[0].metrics:
                for point in metric.data.data_points:
                    labels = dict(point.attributes)
                    if labels.pop("runspan.destination") == destination:
                        found.setdefault(metric.name, {})[labels.get("runspan.drop.reason", "")] = point.value
        return found

    yield collect
    provider.shutdown()


def test_every_fate_of_a_span_is_a_metric(delivery, collected):
    """What was taken, sent, retried, dropped and waits is counted for each destination, however often it is read."""
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, max_queue_size=3, max_batch_size=2, destination="measured")
    end_spans(tracer, *"abc")
    assert processor.force_flush(100) is False
    end_spans(tracer, *"de")
    nothing = {"runspan.spans.shortened": {"": 0}, "runspan.spans.spooled": {"": 0}}
    assert collected("measured") == nothing | {
        "runspan.spans.taken": {"": 5},
        "runspan.spans.sent": {"": 0},
        "runspan.spans.retried": {"": 2},
        "runspan.spans.dropped": {"queue_full": 2},
        "runspan.spans.waiting": {"": 3},
    }
    client.answer = Success()
    assert processor.force_flush(5_000) is False
    assert collected("measured") == nothing | {
        "runspan.spans.taken": {"": 5},
        "runspan.spans.sent": {"": 3},
        "runspan.spans.retried": {"": 2},
        "runspan.spans.dropped": {"queue_full": 2},
        "runspan.spans.waiting": {"": 0},
    }


def test_what_processors_that_are_gone_have_sent_stays_counted(delivery, collected):
    """Counters never go down: those of a destination add up over its processors."""
    for _ in range(2):
        processor, tracer = delivery(Memory(), destination="counted")
        end_spans(tracer, "a")
        processor.shutdown()
        del processor, tracer
    assert collected("counted")["runspan.spans.sent"] == {"": 2}


@pytest.fixture
def _own_destinations():
    """Count those of other tests apart."""
    others = dict(by_destination)
    by_destination.clear()
    yield
    by_destination.clear()
    by_destination.update(others)


@pytest.mark.usefixtures("_own_destinations")
def test_destinations_without_end(delivery, collected):
    """Destinations are told apart up to a bound; those that come later count together, and nothing is lost of them."""
    processors = [delivery(Memory(), destination=f"many-{number}") for number in range(320)]
    for _, tracer in processors:
        end_spans(tracer, "a")
    for processor, _ in processors:
        assert processor.force_flush(10_000)
    assert len(by_destination) <= 301
    assert collected("_OTHER")["runspan.spans.sent"][""] >= 20
    assert collected("_OTHER")["runspan.spans.waiting"][""] == 0
    assert processors[-1][0].stats().sent == 1
