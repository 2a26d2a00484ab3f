"""A thread that is there while there is work, and gone when there is none."""

import time
from collections.abc import Callable
from typing import Final

from opentelemetry.context import attach, set_value

from runspan._guard import attempt
from runspan._threads import TIMEOUT_MAX, Empty, Lock, SimpleQueue, start_thread

# The public name of the key that makes instrumentations of HTTP and gRPC clients stand aside.
_SUPPRESS: Final = "suppress_instrumentation"
_PAUSE_AFTER_FAULT_SECONDS: Final = 1.0


class Worker:
    """Calls ``step`` whenever it is due, in a daemon thread of its own.

    Whatever may interrupt anything, such as a finalizer that ends a span, may call ``ensure_running`` and ``ring``.

    Args:
        seconds_to_wait: returns in how many seconds the next step is due, None if there is nothing to do.
        step: does what is due.
    """

    def __init__(self, seconds_to_wait: Callable[[], float | None], step: Callable[[], None]) -> None:
        self.is_running = False
        self.is_stepping = False
        self._seconds_to_wait = seconds_to_wait
        self._step = step
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._starting = Lock()

    def ring(self) -> None:
        """Have the thread look again at how long to wait."""
        self._bell.put(None)

    def ensure_running(self) -> bool:
        """Start the thread if there is none; False if none starts any more, as when Python exits."""
        if self.is_running or not self._starting.acquire(blocking=False):
            return True
        try:
            if not self.is_running:
                self.is_running = True
                start_thread(self._run)
        except RuntimeError:
            self.is_running = False
            return False
        finally:
            self._starting.release()
        return True

    def run_here(self, until: float) -> None:
        """Work in this thread until nothing is to be done, or the time is over; for when no other one starts."""
        if self._claim():
            try:
                self._work(until)
            finally:
                self.is_running = False

    def _run(self) -> None:
        attach(set_value(_SUPPRESS, True))
        try:
            self._work()
            self.is_running = False
            # What came between the last look and that line has found a thread that was about to end.
            while self._seconds_to_wait() is not None and self._claim():
                self._work()
                self.is_running = False
        finally:  # also where foreign code raises SystemExit
            self.is_running = False

    def _claim(self) -> bool:
        if not self._starting.acquire(blocking=False):
            return False
        was_running, self.is_running = self.is_running, True
        self._starting.release()
        return not was_running

    def _work(self, until: float = TIMEOUT_MAX) -> None:
        while (seconds := self._seconds_to_wait()) is not None and time.monotonic() + seconds < until:
            if seconds > 0:
                self._wait(seconds)
            else:
                self.is_stepping = True
                try:
                    if attempt(self._step, default=False) is False:
                        self._wait(_PAUSE_AFTER_FAULT_SECONDS)
                finally:
                    self.is_stepping = False

    def _wait(self, seconds: float) -> None:
        try:
            self._bell.get(timeout=min(seconds, TIMEOUT_MAX))
            while True:
                self._bell.get_nowait()
        except Empty:
            pass
