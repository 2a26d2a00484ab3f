"""Jaeger on Badger, which can't hold long attributes."""

import os
import subprocess
from contextlib import contextmanager

from e2e.backends import folder
from tests.compose_file import COLLECTOR_CONFIG
from tests.e2e.collectors import answer, collector, free_port, tracer, until


@contextmanager
def jaeger_on_badger(work):
    """Run Jaeger below `work`; give the ports of OTLP over gRPC and of its API."""
    names = ("otlp", "api", "query", "health")
    ports = {name: f"127.0.0.1:{free_port()}" for name in names}
    files = COLLECTOR_CONFIG / "jaeger"
    command = [
        folder() / "jaeger",
        f"--config={files / 'config.yaml'}",
        f"--config={files / 'badger.yaml'}",
        f"--set=extensions.jaeger_query.ui.config_file={files / 'ui-config.json'}",
        f"--set=extensions.jaeger_query.http.endpoint={ports['api']}",
        f"--set=extensions.jaeger_query.grpc.endpoint={ports['query']}",
        f"--set=extensions.healthcheckv2.http.endpoint={ports['health']}",
        f"--set=receivers.otlp.protocols.grpc.endpoint={ports['otlp']}",
        "--set=service.telemetry.metrics.level=none",
    ]
    environment = {**os.environ, "JAEGER_BADGER_DIR": str(work / "badger")}
    with (work / "log").open("w") as log, subprocess.Popen(command, env=environment, stderr=log) as program:
        try:
            until(lambda: answer(f"http://{ports['health']}/status"))
            yield ports["otlp"], f"http://{ports['api']}"
        finally:
            program.terminate()


def test_a_long_attribute_holds_up_nothing(tmp_path):
    """With JAEGER_STORAGE=badger the Collector cuts what Jaeger would refuse, with its whole batch, for ever."""
    (tmp_path / "jaeger").mkdir()
    with jaeger_on_badger(tmp_path / "jaeger") as (otlp, api):
        settings = {"JAEGER_OTLP_ENDPOINT": otlp, "JAEGER_STORAGE": "badger"}
        with collector(tmp_path / "it", "base.yaml", "backends/jaeger.yaml", **settings) as running:
            with tracer(running) as spans:
                span = spans.start_span("long", attributes={"gen_ai.input.messages": "x" * 70_000})
                span.end()
            trace_id = f"{span.get_span_context().trace_id:032x}"
            stored = until(lambda: answer(f"{api}/api/v3/traces/{trace_id}"))
    assert '"' + "x" * 60_000 + '"' in stored
