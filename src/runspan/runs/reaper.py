"""Ends runs that nobody can end any more, in a thread of its own.

A finalizer runs wherever a collection strikes, even inside an exporter that holds its lock; ending a span there was
seen to hang. And who asks for the current span wants nothing changed. So both only report the run, to a queue made for
that, and this thread ends it.
"""

import contextlib
import time
from typing import Any, NamedTuple, Protocol

from runspan._forking import in_forked_child
from runspan._guard import attempt
from runspan._threads import Event, SimpleQueue, start_thread


class Run(Protocol):
    """A run, and the table that ends it."""

    is_over: bool

    @property
    def table(self) -> Any:
        """The table of open runs that it is in."""


class _Report(NamedTuple):
    run: Run
    at_ns: int
    was_cancelled: bool | None
    """None if that was not looked at."""


_reported: SimpleQueue[_Report | Event] = SimpleQueue()
_is_started = False


def report(run: Run, *, was_cancelled: bool | None = None) -> None:
    """Hand over a run that nobody will end, now being its end; safe in a finalizer."""
    _reported.put(_Report(run, time.time_ns(), was_cancelled))


def wait(timeout: float) -> bool:
    """Wait until the runs that were reported until now have ended; return whether they have, in ``timeout`` seconds."""
    start()
    have_ended = Event()
    _reported.put(have_ended)
    return have_ended.wait(timeout)


def start() -> None:
    """See to it that the thread runs; called before there is anything to report."""
    global _is_started  # noqa: PLW0603  one thread per process
    if _is_started:
        return
    # No more threads, or Python is exiting: then a flush, or the end of the process, ends what is lost.
    with contextlib.suppress(RuntimeError):
        start_thread(_work, "runspan-reaper")
    _is_started = True


def _work() -> None:
    while True:
        reported = _reported.get()
        if isinstance(reported, _Report):
            attempt(_end, reported, default=None)  # what span processors raise, SystemExit too
        else:
            reported.set()


def _end(report: _Report) -> None:
    if not report.run.is_over:
        report.run.table.abandon(report.run, report.at_ns, was_cancelled=report.was_cancelled)


@in_forked_child
def _restart_in_child() -> None:
    global _is_started, _reported
    _is_started, _reported = False, SimpleQueue()
