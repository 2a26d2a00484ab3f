"""The Collector names what a backend reads as ``configure(backend=...)`` does."""

import pytest

from tests.e2e.collector import Collector
from tests.e2e.spans import tracer
from tests.otlp_receivers import GrpcReceiver, HttpReceiver
from tests.test_backend_names import EXPECTED

ENDPOINTS = {
    "jaeger": "JAEGER_OTLP_ENDPOINT",
    "langfuse": "LANGFUSE_OTLP_ENDPOINT",
    "mlflow": "MLFLOW_ENDPOINT",
    "phoenix": "PHOENIX_ENDPOINT",
}
OURS = {"service.version": "2.1", "gen_ai.usage.cost.amount": 0.5}
NAMED = {"langfuse": {"langfuse.release": "2.1", "gen_ai.usage.cost": 0.5}}


@pytest.mark.parametrize("backend", ENDPOINTS)
def test_names(backend, start, tmp_path):
    """Usage, release and cost of a span arrive by the names that the backend reads, each once."""
    usage = {f"gen_ai.usage.{name}": count for name, count in EXPECTED[None].items()}
    with GrpcReceiver() if backend == "jaeger" else HttpReceiver() as receiver:
        endpoint = receiver.endpoint.removeprefix("http://") if backend == "jaeger" else receiver.endpoint
        files = ("base.yaml", f"backends/{backend}.yaml")
        collector = start(Collector(tmp_path, files=files, **{ENDPOINTS[backend]: endpoint}))
        with tracer(collector) as spans:
            spans.start_span("chat", attributes=usage | OURS).end()
        (span,) = receiver.wait_for(1)
    expected = {f"gen_ai.usage.{name}": count for name, count in EXPECTED[backend].items()}
    assert span["attributes"] == expected | NAMED.get(backend, OURS)
