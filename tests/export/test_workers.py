import gc
import threading
import time

import pytest

from runspan.export import lanes
from runspan.export.workers import Workers
from tests.export.memory import settle
from tests.waiting import collect_until, wait_until

MARGIN_SECONDS = 1.5


class Calls:
    """Turns that note their names; those held wait for ``gate``."""

    def __init__(self):
        self.workers = Workers()
        self.names = []
        self.late = []
        self.gate = threading.Event()
        self._changed = threading.Condition()

    def ask(self, name, *, held=False, answered=None, **options):
        def take(late):
            with self._changed:
                self.names.append(name)
                self.late.append(late)
                self._changed.notify_all()
            if held:
                self.gate.wait(30)
            return answered

        turn = self.workers.ask(take, **options)
        assert self.workers.ensure_started() is True
        return turn

    def wait_for(self, *names):
        with self._changed:
            assert self._changed.wait_for(lambda: set(names) <= set(self.names), 5), self.names


@pytest.fixture
def calls():
    calls = Calls()
    yield calls
    calls.gate.set()


def started(before):
    return len(set(threading.enumerate()) - before)


def test_turns_come_when_they_are_due(calls):
    """Turns are taken in the order in which they are due, whenever they were asked for; a cancelled one never."""
    now = time.monotonic()
    calls.ask("third", due=now + 0.15)
    calls.ask("cancelled", due=now + 0.01).cancel()
    calls.ask("second", due=now + 0.1)
    calls.ask("first")
    calls.wait_for("third")
    assert time.monotonic() - now >= 0.15
    assert calls.names == ["first", "second", "third"]


def test_turns_that_hang_leave_the_others_alone(calls):
    """Seven turns that hang hold up nobody; however many hang, there are eight threads."""
    before = set(threading.enumerate())
    for number in range(7):
        calls.ask(f"hangs {number}", held=True)
    calls.wait_for(*(f"hangs {number}" for number in range(7)))
    calls.ask("goes on")
    calls.wait_for("goes on")
    for number in range(7, 30):
        calls.ask(f"hangs {number}", held=True)
    calls.wait_for("hangs 7")
    assert started(before) == 8
    assert len(calls.names) == 9
    calls.gate.set()
    calls.wait_for(*(f"hangs {number}" for number in range(30)))
    assert started(before) == 8


def test_threads_are_started_as_needed(calls):
    """One turn after the other needs one thread to take it and one to wait for the next."""
    before = set(threading.enumerate())
    for number in range(20):
        calls.ask(number)
        calls.wait_for(number)
    assert started(before) <= 2


def test_a_new_destination_gets_half_of_the_workers_until_it_answers(calls):
    """A destination of which nothing is known takes four workers at most; once it has answered, more."""
    for number in range(5):
        calls.ask(f"new {number}", held=True, destination="new", answered=True)
    calls.ask("other", destination="other", answered=True)
    calls.wait_for("other", "new 0", "new 1", "new 2", "new 3")
    assert "new 4" not in calls.names
    calls.gate.set()
    calls.wait_for("new 4")
    settle(calls.workers)
    calls.gate.clear()
    for number in range(5, 11):
        calls.ask(f"new {number}", held=True, destination="new", answered=True)
    calls.wait_for(*(f"new {number}" for number in range(5, 11)))


def test_destinations_that_fail_share_half_of_the_workers(calls):
    """Of the destinations that failed last time four are tried at once, and one that answers is a usual one again."""
    bad = [f"bad {number}" for number in range(10)]
    for name in bad:
        calls.ask(name, destination=name, answered=False)
    calls.wait_for(*bad)
    settle(calls.workers)
    calls.names.clear()
    for name in bad:
        calls.ask(name, held=True, destination=name, answered=True)
    calls.ask("good", destination="good", answered=True)
    calls.wait_for("good", *bad[:4])
    assert len(calls.names) == 5
    calls.gate.set()
    calls.wait_for(*bad)
    settle(calls.workers)
    calls.gate.clear()
    calls.names.clear()
    for name in bad[:6]:
        calls.ask(name, held=True, destination=name, answered=True)
    calls.wait_for(*bad[:6])


def test_what_waits_too_long_for_a_destination_that_fails_is_told_so(calls, monkeypatch):
    """A turn that waited too long in the row of those that fail is called all the same, to give up."""
    calls.ask("fails", destination="bad", answered=False)
    settle(calls.workers)
    for number in range(4):
        calls.ask(f"hangs {number}", held=True, destination="bad", answered=False)
    calls.wait_for(*(f"hangs {number}" for number in range(4)))
    monkeypatch.setattr(lanes, "LONGEST_WAIT_SECONDS", 0.0)
    calls.ask("waits", destination="bad", answered=False)
    calls.ask("other")
    calls.wait_for("other", "waits")
    calls.gate.set()
    assert [name for name, late in zip(calls.names, calls.late, strict=True) if late] == ["waits"]


def test_a_turn_that_raises_is_a_lost_turn_only(calls, caplog):
    """An error in a turn ends no worker."""

    def broken():
        raise LookupError

    calls.workers.call(broken)
    calls.ask("next")
    calls.wait_for("next")
    calls.ask("one more")
    calls.wait_for("one more")
    wait_until(lambda: caplog.records)  # another worker tells of it


def test_finalizers_may_ask_at_any_moment(calls):
    """Turns that the garbage collector asks for in the middle of asking are all taken."""

    class Garbage:
        def __init__(self, name):
            self.name, self.cycle = name, self

        def __del__(self):
            calls.ask(self.name)

    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(300):
            Garbage(f"garbage {number}")
            calls.ask(number)
    finally:
        gc.set_threshold(*thresholds)
    asked = {*range(300), *(f"garbage {number}" for number in range(300))}
    collect_until(lambda: asked <= set(calls.names))
