import gc
import threading
import time

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from runspan.export import on_demand
from runspan.export.on_demand import OnDemandExporter
from runspan.export.workers import workers
from tests.export.memory import Memory


class Made:
    """Makes exporters and keeps them."""

    def __init__(self):
        self.exporters = []

    def __call__(self):
        self.exporters.append(Memory())
        return self.exporters[-1]

    @property
    def shutdowns(self):
        return [exporter.shutdowns for exporter in self.exporters]


@pytest.fixture
def made():
    return Made()


def test_an_exporter_is_built_when_it_is_needed_and_once(made):
    """Nothing is built before the first export, and all exports share what it built."""
    exporter = OnDemandExporter(made)
    assert made.exporters == []
    assert [exporter.export([]), exporter.export([])] == [SpanExportResult.SUCCESS] * 2
    assert [memory.batches for memory in made.exporters] == [[[], []]]


def test_an_exporter_can_be_built_before(made):
    """What was built ahead is what the first export uses."""
    exporter = OnDemandExporter(made)
    exporter.build()
    exporter.export([])
    assert [memory.batches for memory in made.exporters] == [[[]]]


def test_an_exporter_that_is_shut_down_builds_none(made):
    """After shutdown an export fails and nothing new stays open; a second shutdown does nothing."""
    used, unused = OnDemandExporter(made), OnDemandExporter(made)
    used.export([])
    for exporter in (used, unused, used):
        exporter.shutdown()
    assert [used.export([]), unused.export([])] == [SpanExportResult.FAILURE] * 2
    assert [memory.batches for memory in made.exporters] == [[[]], [], []]
    assert made.shutdowns == [1, 1, 1]


def test_shutdown_reaches_an_exporter_in_use(made):
    """An exporter that exports at this moment is told to shut down, once."""
    exporter = OnDemandExporter(made)
    exporter.build()
    made.exporters[0].gate.clear()
    exporting = threading.Thread(target=exporter.export, args=([],))
    exporting.start()
    assert made.exporters[0].called.wait(5)
    exporter.shutdown()
    assert made.shutdowns == [1]
    made.exporters[0].gate.set()
    exporting.join()
    assert made.shutdowns == [1]


def test_those_used_longest_ago_are_closed(made, monkeypatch):
    """Only so many stay open between exports; one that was closed is built again when it is needed."""
    monkeypatch.setattr(on_demand, "MOST_IDLE_EXPORTERS", 3)
    exporters = [OnDemandExporter(made) for _ in range(5)]
    for exporter in [*exporters[:3], exporters[0], exporters[3], exporters[4]]:
        exporter.export([])
    assert made.shutdowns == [0, 1, 1, 0, 0]
    exporters[1].export([])
    assert made.shutdowns == [1, 1, 1, 0, 0, 0]
    assert made.exporters[5].batches == [[]]


def test_the_exporter_of_garbage_is_closed(made):
    """When nobody can use an exporter any more a worker closes it."""
    assert workers.ensure_started()
    exporter = OnDemandExporter(made)
    exporter.export([])
    del exporter
    gc.collect()
    deadline = time.monotonic() + 5
    while made.shutdowns != [1] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made.shutdowns == [1]
