"""Jaeger away for a minute, and a Collector killed, while applications go on: nothing is lost."""

import json
import time
from collections import defaultdict

import pytest

from tests.e2e.application import Application
from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger
from tests.e2e.program import wait_until

SPANS = 100_000
PACE = 1_100  # a second: the load begins before the outage and goes on after it
OUTAGE_SECONDS = 60
SECONDS_TO_RECOVER = 90


class Load:
    """An application that ends 100,000 spans, and what came of them."""

    def __init__(self, folder, name, endpoint, **environment):
        self.name = name
        self._record = folder / f"{name}.txt"
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        self.program = Application(folder, "steady.py", SPANS, PACE, self._record, **environment)
        self.program.log = folder / f"application of {name}.log"

    def ended(self):
        """Return the ids of the spans that have ended, by the ids of their traces."""
        traces = defaultdict(set)
        text = self._record.read_text() if self._record.exists() else ""
        for line in text.splitlines()[: text.count("\n")]:
            trace_id, span_id = line.split()
            traces[trace_id].add(span_id)
        return traces

    def count(self):
        return sum(map(len, self.ended().values()))

    def stats(self):
        """Return what it told at its end."""
        code = self.program.wait(SECONDS_TO_RECOVER + 60)
        assert code == 0, f"{self.name} ended with {code}:\n{self.program.last_words()}"
        return json.loads(self.program.last_words(1))


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
        Load(tmp_path, "collector", whole.grpc),
        Load(tmp_path, "killed collector", killed.grpc, SPOOL=tmp_path / "beside-collector.db"),
        Load(tmp_path, "no collector", f"http://{jaeger.otlp}", SPOOL=tmp_path / "spool.db"),
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

    stats = {load.name: load.stats() for load in loads}
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
