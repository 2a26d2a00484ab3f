"""The profile `scale` of docker-compose.yml as processes: every tier is the real program, but for ClickHouse."""

import json
import re
import time
from typing import NamedTuple

import pytest

from tests.compose_file import COLLECTOR_CONFIG, config_files
from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger
from tests.e2e.load import Load
from tests.e2e.program import ROOT, free_addresses, get, wait_until
from tests.scale.programs import Kafka, Prometheus

SPANS = 30_000
IN_A_TRACE = 50
PACE = 400  # a second: the load begins before the outage and goes on after it
OUTAGE_SECONDS = 15
SECONDS_TO_RECOVER = 180
# Counters that begin with the first of what they count.
NOT_IN_GOOD_TIMES = {"otelcol_exporter_enqueue_failed_spans", "otelcol_exporter_send_failed_spans"}


def overlays(service, *instead):
    """Return the files of a service of docker-compose.yml, some of them instead of its last ones."""
    files = [str(path.relative_to(COLLECTOR_CONFIG)) for path in config_files(service)]
    return (*files[: len(files) - len(instead)], *instead)


class Observed(Collector):
    """A Collector that shows its own metrics."""

    def __init__(self, folder, name, files, **environment):
        self.metrics, self.span_metrics = free_addresses(2)
        host, port = self.metrics.split(":")
        reader = {"pull": {"exporter": {"prometheus": {"host": host, "port": int(port)}}}}
        settings = {
            "service.telemetry.metrics.level": "normal",
            "service.telemetry.metrics.readers": json.dumps([reader]),
        }
        super().__init__(
            folder, name=name, files=files, settings=settings, METRICS_ENDPOINT=self.span_metrics, **environment
        )

    def scraped(self):
        """Return its metrics as Prometheus reads them."""
        return (get(f"http://{self.metrics}/metrics") or b"").decode()

    def names(self):
        """Return the names of its metrics."""
        return set(re.findall(r"^(\w+)", self.scraped(), re.MULTILINE))

    def total(self, metric):
        """Return the sum of a metric over all of its labels."""
        return sum(
            float(value) for value in re.findall(rf"^{metric}(?:\{{.*\}})? (\S+)$", self.scraped(), re.MULTILINE)
        )


class Tiers(NamedTuple):
    """The programs that spans pass, in their order."""

    gateway: Observed
    kafka: Kafka
    balancer: Observed
    samplers: list[Observed]
    jaeger: Jaeger


@pytest.fixture
def tiers(start, tmp_path):
    """Run every tier; Jaeger has its storage in memory, in place of ClickHouse, and samplers keep every trace."""
    jaeger, kafka = start(Jaeger(tmp_path)), start(Kafka(tmp_path))
    sampling = {"JAEGER_OTLP_ENDPOINT": jaeger.otlp, "SAMPLING_PERCENT": "100", "SAMPLING_WAIT": "5s"}
    names = ("sampler", "sampler-2")
    samplers = [start(Observed(tmp_path, name, overlays("sampler"), **sampling)) for name in names]
    broker = {"KAFKA_BROKER": kafka.address}
    addresses = json.dumps([each.address for each in samplers])
    balancer = start(Observed(tmp_path, "balancer", overlays("balancer"), SAMPLERS=addresses, **broker))
    files = overlays("otel-collector", "backends/kafka.yaml")
    gateway = start(Observed(tmp_path, "gateway", files, METRICS_FLUSH_INTERVAL="1s", **broker))
    return Tiers(gateway, kafka, balancer, samplers, jaeger)


@pytest.mark.timeout(600)
def test_nothing_is_lost_while_the_broker_is_away(start, tmp_path, tiers):
    """All spans arrive though the broker is killed meanwhile, each trace by one sampler, and the metrics show it."""
    prometheus = start(Prometheus(tmp_path, {"spans": tiers.gateway.span_metrics, "collector": tiers.gateway.metrics}))
    load = Load(tmp_path, "load", tiers.gateway.grpc, spans=SPANS, pace=PACE, in_a_trace=IN_A_TRACE)
    start(load.program)
    wait_until(lambda: load.count() >= SPANS // 5, 120, lambda: f"too slow, ended: {load.count()}")
    tiers.kafka.kill()
    before, until = load.count(), time.monotonic() + OUTAGE_SECONDS
    wait_until(lambda: time.monotonic() >= until, OUTAGE_SECONDS + 1, lambda: "the clock stands still")
    assert before < load.count(), "no span ended in the outage"
    tiers.kafka.start()

    stats = load.stats(SECONDS_TO_RECOVER)
    assert (stats["flushed"], stats["taken"], stats["dropped"]) == (True, SPANS, {}), stats
    traces = load.ended()
    assert {len(spans) for spans in traces.values()} == {IN_A_TRACE}
    tiers.jaeger.wait_for_span_ids(traces, set().union(*traces.values()), SECONDS_TO_RECOVER)

    decided = [each.total("otelcol_processor_tail_sampling_new_trace_id_received") for each in tiers.samplers]
    assert all(decided), "one sampler got nothing"
    assert sum(decided) == len(traces), "a trace came to both samplers"
    seen = {"Collector": prometheus.names(), "sampler": tiers.samplers[0].names(), "balancer": tiers.balancer.names()}
    missing = {where: names_in_docs(where) - NOT_IN_GOOD_TIMES - seen[where] for where in seen}
    assert missing == {"Collector": set(), "sampler": set(), "balancer": set()}
    assert "traces_span_metrics_calls_total" in seen["Collector"]


def names_in_docs(where):
    """Return which metrics docs/scaling.md says to look at in a program."""
    rows = re.findall(rf"^\| (.*) \| {where}\b[^|]* \|", (ROOT / "docs" / "scaling.md").read_text(), re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`(otelcol_\w+)`", row)}
    assert names, where
    return names
