"""A thread that is there while there is work, and gone when there is none."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
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
        self._working: dict[str, Lock] = {}  # who works, or is about to: to set a default is one step of CPython's

    @property
    def is_running(self) -> bool:
        """Whether a thread is there."""
        return bool(self._working)

    def has_work(self, until: float = inf) -> bool:
        """Return whether a step is going on, or due before that time."""
        return self.is_running or not self._asked.empty() or self._due < until

    def wake(self, at: float = 0.0) -> bool:
        """Have a step made by a time; safe in whatever may interrupt anything, such as a finalizer that ends a span.

        False if that needs a thread and none starts any more, as when Python exits.
        """
        if at < self._due:
            self._asked.put(at)
        if self._working:
            return True
        worker = Lock()  # held from when it works
        try:
            if self._begin(worker):
                start_thread(partial(self._run, worker))
        except BaseException as error:  # Ctrl-C, or what a handler of another signal raises, may come between any steps
            if worker.acquire(blocking=False):  # and the thread finds it held
                self._end(worker)
            if isinstance(error, RuntimeError):
                return False
            raise
        return True

    def work_here(self, until: float) -> None:
        """Work in this thread till nothing is due before that time, unless another thread does."""
        worker = Lock()
        try:
            if self._begin(worker):
                self._work(until)
        finally:  # also where foreign code raises SystemExit in a thread of the application
            self._end(worker)

    def _begin(self, worker: Lock) -> bool:
        """Return whether this one is to work: nobody else does."""
        return self._working.setdefault("by", worker) is worker

    def _end(self, worker: Lock) -> None:
        if self._working.get("by") is worker:
            del self._working["by"]

    def _run(self, worker: Lock) -> None:
        if not worker.acquire(blocking=False):
            return
        attach(set_value(_SUPPRESS, True))
        while True:
            try:
                self._work(inf)
            finally:
                self._end(worker)
            # What was asked since the last look has found a thread that was about to end.
            if self._asked.empty() or not self._begin(worker):
                return

    def _work(self, until: float) -> None:
        while self._look(0) < until:
            if self._due > time.monotonic():
                self._look(self._due - time.monotonic())
            else:
                self._due = inf  # before the step, which does what was asked so far
                self._due = attempt(self._step, default=time.monotonic() + _PAUSE_AFTER_FAULT_SECONDS)

    def _look(self, seconds: float) -> float:
        """Return when the next step is due, by what is asked for within that time."""
        with suppress(Empty):
            self._due = min(self._due, self._asked.get(timeout=min(max(seconds, 0), TIMEOUT_MAX)))
            while True:
                self._due = min(self._due, self._asked.get_nowait())
        return self._due
