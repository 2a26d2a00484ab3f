"""What the other tests lean on: the real programs keep what they have when they are stopped, killed and started."""

import pytest

from tests.e2e.application import run
from tests.e2e.jaeger import Jaeger


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_badger_keeps_spans_over_a_restart(way, start, tmp_path):
    """Jaeger with Badger has the same spans after it was ended and started again."""
    jaeger = start(Jaeger(tmp_path, storage="badger"))
    *traces, ids = run(tmp_path, "many.py", 10, 1000, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{jaeger.otlp}").splitlines()
    jaeger.wait_for_span_ids(traces, ids.split())
    getattr(jaeger, way)()
    jaeger.start()
    assert jaeger.span_ids(traces) == set(ids.split())
    assert jaeger.span_ids_of("many") == set(ids.split())


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_the_collector_keeps_its_queue_over_a_restart(way, jaeger, collector, tmp_path):
    """What the Collector took while Jaeger was down is in Jaeger at last, though the Collector was ended meanwhile."""
    jaeger.stop()
    *traces, ids = run(tmp_path, "many.py", 10, 100, OTEL_EXPORTER_OTLP_ENDPOINT=collector.grpc).splitlines()
    getattr(collector, way)()
    jaeger.start()
    collector.start()
    jaeger.wait_for_span_ids(traces, ids.split())
