"""The threads that all processors of this process share: a thousand endpoints need no thousand threads.

To ask for a turn is a ``put`` into a ``queue.SimpleQueue``: safe in a finalizer that interrupts anything. One worker at
a time leads: it waits for the turn that is due next, and lets another lead while it takes that turn. What only the
leader touches needs no lock, and a process with nothing to deliver never wakes up.
"""

import heapq
import os
import time
from collections.abc import Callable
from itertools import count

from opentelemetry.context import attach, set_value

from runspan._guard import attempt
from runspan._threads import TIMEOUT_MAX, Empty, Lock, SimpleQueue, start_thread
from runspan.export.lanes import Lanes, Take, Turn

# The public name of the key that makes instrumentations of HTTP and gRPC clients stand aside.
_SUPPRESS = "suppress_instrumentation"
MOST_WORKERS = 8


class Workers:
    """At most eight daemon threads, started as turns are asked for."""

    def __init__(self) -> None:
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget all threads and turns; a forked child calls it, for both belong to its parent."""
        self._inbox: SimpleQueue[Turn] = SimpleQueue()
        self._numbers = count()
        self._leading = Lock()
        self._starting = Lock()
        self._threads = 0
        # The rest is the leader's.
        self._later: list[Turn] = []
        self._busy = 0
        self._lanes = Lanes(MOST_WORKERS // 2)

    def ask(self, take: Take, *, due: float | None = None, destination: str | None = None) -> Turn:
        """Have a worker call ``take`` when it is due by ``time.monotonic``; never waits, takes no lock."""
        turn = Turn(time.monotonic() if due is None else due, next(self._numbers), take, destination)
        self._inbox.put(turn)
        return turn

    def call(self, function: Callable[[], object]) -> None:
        """Have a worker call a function soon; never waits, takes no lock."""

        def take(_: bool) -> None:
            function()

        self.ask(take)

    def ensure_started(self, wanted: int = 1) -> bool:
        """Start workers until there are as many as wanted, eight at most; tell whether there is any.

        None starts any more when Python exits. May be called again in the middle of itself, by a finalizer that ends a
        span.
        """
        if self._threads < min(wanted, MOST_WORKERS) and self._starting.acquire(blocking=False):
            try:
                self._start_until(wanted)
            finally:
                self._starting.release()
        return self._threads > 0

    def _start_until(self, wanted: int) -> None:
        while self._threads < min(wanted, MOST_WORKERS) and self._start_worker():
            pass

    def _start_worker(self) -> bool:
        self._threads += 1
        try:
            start_thread(self._work, "runspan-delivery")
        except RuntimeError:  # no more threads, or Python is exiting: the next call tries again
            self._threads -= 1
            return False
        return True

    def _work(self) -> None:
        attach(set_value(_SUPPRESS, True))
        while True:
            self._take_next_turn()

    def _take_next_turn(self) -> None:
        with self._leading:
            turn = self._next_turn()
        take, turn.take = turn.take, None
        if take is not None:
            turn.answered = attempt(take, turn.late, default=None)
        turn.over = True
        self._inbox.put(turn)

    def _next_turn(self) -> Turn:
        while True:
            self._receive()
            turn = self._lanes.released() or self._due()
            if turn is not None and self._lanes.enter(turn):
                self._busy += 1
                with self._starting:  # not ensure_started, which may leave it to one that has just finished
                    self._start_until(self._busy + 1)
                return turn

    def _receive(self) -> None:
        """Wait until a turn is asked for, over or due; note all that came."""
        try:
            self._note(self._inbox.get(timeout=self._seconds_to_wait()))
            while True:
                self._note(self._inbox.get_nowait())
        except Empty:
            pass

    def _seconds_to_wait(self) -> float | None:
        if self._lanes.has_released():
            return 0
        return min(max(self._later[0].due - time.monotonic(), 0), TIMEOUT_MAX) if self._later else None

    def _note(self, turn: Turn) -> None:
        if turn.over:
            self._busy -= 1
            self._lanes.leave(turn)
        else:
            heapq.heappush(self._later, turn)

    def _due(self) -> Turn | None:
        while self._later and self._later[0].due <= time.monotonic():
            turn = heapq.heappop(self._later)
            turn.called = True
            if turn.take is not None:
                return turn
        return None


workers = Workers()

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=workers.start_afresh)
