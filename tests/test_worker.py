"""A worker's thread: there for each step that is asked for, one at a time, and gone when there is none."""

import itertools
import threading
import time
from collections import deque
from math import inf

from runspan._worker import Worker
from tests.waiting import wait_until


def test_no_wake_is_lost():
    """Whoever asks, also in the moment in which the thread ends, gets a step; no two steps are made at once."""
    items, done, busy, at_once = deque(), itertools.count(), threading.Lock(), []

    def step():
        at_once.append(not busy.acquire(blocking=False))
        while items:
            items.popleft()
            next(done)
        busy.release()
        return inf

    worker = Worker(step)

    def ask():
        for _ in range(2_000):
            items.append(None)
            worker.wake()
            time.sleep(0)  # lets the thread end

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: not worker.has_work())
    assert (len(items), next(done), set(at_once)) == (0, 8_000, {False})


def test_a_step_says_when_it_is_due_again():
    """A step is made again when it said, earlier if somebody asks, and never if it said so."""
    answers, made = [0.05, 60.0, inf], []
    worker = Worker(lambda: made.append(None) or time.monotonic() + answers.pop(0))
    worker.wake(time.monotonic() + 60)
    worker.wake()
    wait_until(lambda: len(made) == 2)
    assert worker.is_running
    worker.wake()
    wait_until(lambda: not worker.is_running)
    assert len(made) == 3


def test_an_error_of_a_step_costs_a_pause(caplog):
    """A step that fails is made again after a second, whatever it raises: the thread is no one's to end."""
    made = []

    def step():
        made.append(None)
        if len(made) == 1:
            raise ValueError("a fault")
        if len(made) == 2:
            raise SystemExit
        if len(made) == 3:
            raise KeyboardInterrupt
        return inf

    worker = Worker(step)
    worker.wake()
    wait_until(lambda: not worker.is_running)
    assert len(made) == 4
    for error in ("ValueError", "SystemExit", "KeyboardInterrupt"):
        assert f"step failed with {error}" in caplog.text


def test_work_may_be_done_here():
    """Who calls makes the steps that are due before a time, and leaves later ones."""
    made = []
    worker = Worker(lambda: made.append(threading.get_ident()) or time.monotonic() + 60)
    worker._asked.put(0.0)  # as if no thread had started
    worker.work_here(time.monotonic() + 1)
    assert made == [threading.get_ident()]
    assert (worker.is_running, worker.has_work(time.monotonic() + 1), worker.has_work()) == (False, False, True)
