"""A thread that is there while there is work, and gone when there is none."""

import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Final

from opentelemetry.context import attach, set_value

from runspan._guard import attempt
from runspan._threads import TIMEOUT_MAX, Empty, Lock, SimpleQueue, start_thread

# The public name of the key that makes instrumentations of HTTP and gRPC clients stand aside.
_SUPPRESS: Final = "suppress_instrumentation"
_PAUSE_AFTER_FAULT_SECONDS: Final = 1.0


class Worker:
    """Calls a step when it is due, in a daemon thread of its own that ends when none is.

    Times are those of ``time.monotonic``.

    Args:
        step: does all that is to be done, and returns when it is due again, ``inf`` for never.
    """

    def __init__(self, step: Callable[[], float]) -> None:
        self._step = step
        self._due = inf
        self._asked: SimpleQueue[float] = SimpleQueue()
        self._working = Lock()

    @property
    def is_running(self) -> bool:
        """Whether a thread is there."""
        return self._working.locked()

    def has_work(self, until: float = inf) -> bool:
        """Return whether a step is going on, or due before that time."""
        return self.is_running or not self._asked.empty() or self._due < until

    def wake(self, at: float = 0.0) -> bool:
        """Have a step made by a time; safe in whatever may interrupt anything, such as a finalizer that ends a span.

        False if that needs a thread and none starts any more, as when Python exits.
        """
        if at < self._due:
            self._asked.put(at)
        if not self._working.acquire(blocking=False):
            return True
        try:
            start_thread(self._run)
        except RuntimeError:
            self._working.release()
            return False
        return True

    def work_here(self, until: float) -> None:
        """Work in this thread till nothing is due before that time, unless another thread does."""
        if self._working.acquire(blocking=False):
            self._work(until)

    def _run(self) -> None:
        attach(set_value(_SUPPRESS, True))
        self._work(inf)
        # What was asked since the last look has found a thread that was about to end.
        while not self._asked.empty() and self._working.acquire(blocking=False):
            self._work(inf)

    def _work(self, until: float) -> None:
        try:
            while self._look(0) < until:
                if self._due > time.monotonic():
                    self._look(self._due - time.monotonic())
                else:
                    self._due = inf  # before the step, which does what was asked so far
                    self._due = attempt(self._step, default=time.monotonic() + _PAUSE_AFTER_FAULT_SECONDS)
        finally:  # also where foreign code raises SystemExit in a thread of the application
            self._working.release()

    def _look(self, seconds: float) -> float:
        """Return when the next step is due, by what is asked for within that time."""
        with suppress(Empty):
            self._due = min(self._due, self._asked.get(timeout=min(max(seconds, 0), TIMEOUT_MAX)))
            while True:
                self._due = min(self._due, self._asked.get_nowait())
        return self._due
