"""One handler through tens of thousands of runs: `make soak`, or `make soak RUNS=3000`; on Linux, as it reads /proc."""

import gc
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from opentelemetry.trace import SpanContext, TraceFlags

from runspan.langchain import checkpoints
from tests.objects import fill_the_memory_of_runs, growth, live_objects
from tests.otlp_receivers import receive_bodies
from tests.soak.mix import Mix

RUNS = int(os.environ.get("SOAK_RUNS", "30000"))
SHARES = (1 / 30, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1)
BASELINE = 1  # the second of them: run 5,000 of 30,000
MOST_GROWTH = 0.01
# A worker may hold a few objects for a moment; what grows with runs is more by far.
SLACK = 5


class Row(NamedTuple):
    """What is alive after some runs."""

    run: int
    mro: tuple[type, ...]
    threads: tuple[str, ...]
    files: int
    classes: int
    objects: Counter[str]
    rss: float
    ms_per_run: float

    def __str__(self) -> str:
        return (
            f"{self.run:>7,} {self.classes:>8,} {len(self.mro):>4} {len(self.threads):>8} {self.files:>6}"
            f" {self.objects.total():>9,} {self.rss:>9.1f} {self.ms_per_run:>7.2f}"
        )


HEAD = "    run  classes  mro  threads  files   objects  RSS in MB  ms/run"


@pytest.mark.timeout(3600)
def test_a_handler_does_not_age():
    """After a sixth of the runs nothing grows: no class, no thread, no file, no object of any type."""
    with receive_bodies(keep=0) as (endpoint, _):
        mix = Mix(endpoint)
        fill_what_is_remembered(mix)
        mix.first_tenants()
        print("", HEAD, sep="\n")
        rows = []
        for before, after in pairs_of_runs():
            rows.append(row_after(mix, before, after))
            print(rows[-1], flush=True)
        mix.loop.close()
    assert mix.handler.open_runs == 0
    baseline, last = rows[BASELINE], rows[-1]
    assert last.mro == baseline.mro
    assert last.threads == baseline.threads
    assert last.files == baseline.files
    assert last.classes == baseline.classes
    assert growth(baseline.objects, last.objects, share=MOST_GROWTH, slack=SLACK) == {}
    check_outcomes(mix.tracing.counting.outcomes)


def fill_what_is_remembered(mix):
    """Take up all room of what is remembered by number, so that it does not fill up in the course of the runs."""
    fill_the_memory_of_runs(mix.handler)
    for number in range(4096):
        span = SpanContext(1, number + 1, is_remote=False, trace_flags=TraceFlags(1))
        checkpoints.note_interrupted(f"filled {number}", span)


def pairs_of_runs():
    ends = [round(RUNS * share) for share in SHARES]
    return zip([0, *ends], ends, strict=False)


def row_after(mix, before, after):
    began = time.perf_counter()
    for _ in range(before, after):
        mix.next_run()
    seconds = time.perf_counter() - began
    objects = live_objects()
    return Row(
        after,
        type(mix.handler).__mro__,
        tuple(sorted(thread.name for thread in threading.enumerate())),
        len(list(Path("/proc/self/fd").iterdir())),
        sum(isinstance(each, type) for each in gc.get_objects()),
        objects,
        int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6,
        seconds * 1000 / max(after - before, 1),
    )


def check_outcomes(outcomes):
    """Check that the runs were what they are meant to be."""
    for outcome, share in {"abandoned": 0.2, "cancelled": 0.2, "interrupted": 0.1, "error": 0.1}.items():
        assert outcomes[outcome] >= RUNS * share, outcome
