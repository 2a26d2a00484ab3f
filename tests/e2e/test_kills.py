"""Applications killed at random moments, with a spool that is written ahead."""

import random
import time
from contextlib import ExitStack

import pytest

from runspan import Spool
from tests.e2e.application import Application, run
from tests.e2e.jaeger import Jaeger
from tests.e2e.program import wait_until

INTERVAL = Spool("spool.db").interval_seconds  # what a kill may lose, in seconds
LONGEST_SECONDS = 1.5  # of a life


class Life:
    """One run of an application, from its start until it is killed."""

    def __init__(self, folder, name, spool, endpoint):
        self._record = folder / f"{name}.txt"
        self.program = Application(folder, "until_killed.py", spool, self._record, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        self.program.log = folder / f"{name}.log"
        self.killed_at = 0.0

    def wait_for_spans(self):
        """Wait until it has ended the first."""
        wait_until(
            lambda: not self.program.is_running or (self._record.exists() and self._record.stat().st_size > 0),
            30,
            lambda: f"{self.program} ends no spans:\n{self.program.last_words()}",
        )

    def kill(self):
        """Kill it, and note when."""
        assert self.program.is_running, f"{self.program} has ended by itself:\n{self.program.last_words()}"
        self.killed_at = time.time()
        self.program.kill()

    def ended(self):
        """Return what it ended, as ids of the trace and of the span, and for how many seconds it lived after that."""
        lines = [line.split() for line in self._record.read_text().splitlines()]
        return {(trace_id, span_id): self.killed_at - float(at) for trace_id, span_id, at in lines}


def live_and_die(lives, dice):
    """Start applications at once, and kill each at a random moment of its work."""
    with ExitStack() as stack:
        for life in lives:
            stack.enter_context(life.program)
        for life in lives:
            life.wait_for_spans()
        for life in dice.sample(lives, len(lives)):
            time.sleep(dice.uniform(0, LONGEST_SECONDS))  # what is tested, nothing waits for it
            life.kill()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("applications", "kills"), [(1, 20), (2, 20)])
def test_what_a_kill_may_lose(applications, kills, start, tmp_path):
    """Whenever applications are killed, what ended half a second before is in Jaeger after the next start."""
    jaeger = start(Jaeger(tmp_path, storage="badger"))
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    spool, endpoint = tmp_path / "spool.db", f"http://{jaeger.otlp}"
    lives = [Life(tmp_path, f"life-{number}", spool, endpoint) for number in range(kills)]
    for number, together in enumerate(batched(lives, applications)):
        if number == kills // applications // 2:
            jaeger.stop()  # before, they die while they send; from now on all is in the spool
        live_and_die(together, dice)
    jaeger.start()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    printed = run(tmp_path, "only_delivers.py", spool, **environment)
    assert printed.startswith("True "), f"not delivered, seed {seed}: {printed}"

    ended = {ids: seconds for life in lives for ids, seconds in life.ended().items()}
    arrived = jaeger.span_ids({trace_id for trace_id, _ in ended})
    lost = sorted((seconds for (_, span_id), seconds in ended.items() if span_id not in arrived), reverse=True)
    too_early = [seconds for seconds in lost if seconds > INTERVAL]
    assert not too_early, (
        f"{len(too_early):,} of {len(ended):,} spans are lost that ended up to {max(lost):.3f} s before the kill,"
        f" {INTERVAL} s is stated; seed {seed}; {printed}"
    )


def batched(items, size):
    return [items[begin : begin + size] for begin in range(0, len(items), size)]
