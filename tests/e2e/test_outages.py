"""Jaeger away for a minute, and a Collector killed, while applications go on: nothing is lost."""

import time

import pytest

from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger
from tests.e2e.load import Load
from tests.e2e.program import wait_until

SPANS = 100_000
LOAD = {"spans": SPANS, "pace": 1_100}  # it begins before the outage and goes on after it
OUTAGE_SECONDS = 60
SECONDS_TO_RECOVER = 90


class Arrivals:
    """Which of the spans that have ended are not in Jaeger; what was found is not asked for again."""

    def __init__(self, jaeger, loads):
        self._jaeger = jaeger
        self._missing = {load.name: load.ended() for load in loads}

    def missing(self):
        """Return how many, for each load."""
        for traces in self._missing.values():
            for trace_id in list(traces):
                traces[trace_id] -= self._jaeger.span_ids([trace_id])
                if not traces[trace_id]:
                    del traces[trace_id]
        return {name: sum(map(len, traces.values())) for name, traces in self._missing.items()}


@pytest.fixture
def jaeger(start, tmp_path):
    """Run Jaeger with storage that outlives it."""
    return start(Jaeger(tmp_path, storage="badger"))


@pytest.fixture
def collectors(start, tmp_path, jaeger):
    """Run two Collectors, one of them to be killed."""
    environment = {"JAEGER_OTLP_ENDPOINT": jaeger.otlp, "JAEGER_STORAGE": "badger"}
    return [start(Collector(tmp_path, name=name, **environment)) for name in ("collector", "killed-collector")]


@pytest.fixture
def loads(start, tmp_path, jaeger, collectors):
    """Run an application for each way to Jaeger."""
    whole, killed = collectors
    loads = [
        Load(tmp_path, "collector", whole.grpc, **LOAD),
        Load(tmp_path, "killed collector", killed.grpc, **LOAD, SPOOL=tmp_path / "beside-collector.db"),
        Load(tmp_path, "no collector", f"http://{jaeger.otlp}", **LOAD, SPOOL=tmp_path / "spool.db"),
    ]
    for load in loads:
        start(load.program)
    return loads


@pytest.mark.timeout(360)
def test_nothing_is_lost_while_jaeger_is_down(jaeger, collectors, loads):
    """Through a Collector, through one that is killed meanwhile, and without one, all of 100,000 spans arrive."""
    wait_until(lambda: min(ended(loads).values()) >= SPANS // 10, 60, lambda: f"too slow, ended: {ended(loads)}")
    jaeger.kill()
    down, before = time.monotonic(), ended(loads)
    wait_until_after(down, OUTAGE_SECONDS / 3)
    collectors[1].kill()
    wait_until_after(down, OUTAGE_SECONDS / 2)
    collectors[1].start()
    wait_until_after(down, OUTAGE_SECONDS)
    after = ended(loads)
    jaeger.start()
    assert all(0 < before[name] < after[name] < SPANS for name in after), f"no load: {before} to {after} spans"

    stats = {load.name: load.stats(SECONDS_TO_RECOVER + 60) for load in loads}
    arrivals = Arrivals(jaeger, loads)
    wait_until(
        lambda: not any(arrivals.missing().values()),
        SECONDS_TO_RECOVER,
        lambda: f"not in Jaeger: {arrivals.missing()} of {SPANS:,} spans each; {stats}",
    )
    fates = {name: (each["flushed"], each["taken"], each["dropped"], each["waiting"]) for name, each in stats.items()}
    assert fates == dict.fromkeys(stats, (True, SPANS, {}, 0)), stats
    assert {name: each["spooled"] > 0 for name, each in stats.items()} == {
        "collector": False,
        "killed collector": True,
        "no collector": True,
    }, stats


def ended(loads):
    return {load.name: load.count() for load in loads}


def wait_until_after(begin, seconds):
    wait_until(lambda: time.monotonic() >= begin + seconds, seconds + 1, lambda: "the clock stands still")
