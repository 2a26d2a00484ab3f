"""Ends runs that nobody can end any more, in a thread of its own.

A finalizer runs wherever a collection strikes, even inside an exporter that holds its lock; ending a span there was
seen to hang. So it only reports the run, to a queue made for that, and this thread ends it.
"""

import contextlib
from typing import Any, Protocol

from runspan._forking import in_forked_child
from runspan._threads import SimpleQueue, start_thread


class Run(Protocol):
    """A run that may be lost, and the table that ends it then."""

    table: Any

    def is_lost(self) -> bool:
        """Tell whether nobody can end it any more."""


_reported: SimpleQueue[Run] = SimpleQueue()
_is_started = False


def report(run: Run) -> None:
    """Hand over a run that seems lost; safe in a finalizer."""
    _reported.put(run)


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
    global _is_started  # noqa: PLW0603  the same
    try:
        while True:
            _end(_reported.get())
    finally:
        _is_started = False  # a span processor raised SystemExit: the next run starts another


def _end(run: Run) -> None:
    if run.is_lost():
        run.table.abandon(run)


@in_forked_child
def _restart_in_child() -> None:
    global _is_started, _reported
    _is_started, _reported = False, SimpleQueue()
