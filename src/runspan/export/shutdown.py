"""The end of deliveries: all that can be delivered in a given time, for as many of them as there are.

Also at the end of the process, and of a child of ``multiprocessing`` or Celery: those end without ``atexit``.
"""

import atexit
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import util
from typing import Final

from runspan._forking import in_forked_child
from runspan.export.delivery import Delivery, all_deliveries
from runspan.export.sigterm import act_on_blocked_sigterm, exit_begins

EXIT_SECONDS: Final = 4.0
# Shares of the time: a receiver that fails gets the first, one that is silent both; what is left is for the client to
# break off.
_FIRST_SHARE: Final = 0.5
_SECOND_SHARE: Final = 0.4
# Then those that still fail make room for others every so often.
_STEP_SECONDS: Final = 0.05
# After the application's own finalizers, which may end spans, and after its children were joined.
_LATE: Final = -100


def close(deliveries: Iterable[Delivery], seconds: float) -> None:
    """Deliver what is queued if that can be done in time, then stop; what is closed already stays as it is.

    What another thread is closing is waited for, too: if the process ends first, nobody would tell its losses.
    """
    began = time.monotonic()
    closing = [each for each in deliveries if each.begin_closing() or not each.finished.is_set()]
    without_thread = [each for each in closing if not each.finished.is_set() and not each.flush_soon()]
    for number, each in enumerate(without_thread):
        left = began + seconds * (_FIRST_SHARE + _SECOND_SHARE) - time.monotonic()
        each.work_here(time.monotonic() + max(left, 0) / (len(without_thread) - number))
    _wait(closing, until=began + seconds * _FIRST_SHARE)
    _wait_for_silent(closing, seconds, until=began + seconds * (_FIRST_SHARE + _SECOND_SHARE))
    for each in closing:
        each.abort(seconds)
    _wait([each for each in closing if each not in without_thread], until=began + seconds)
    for each in closing:
        each.finish()


def close_all(seconds: float) -> None:
    """Close every delivery of this process, in one time for all."""
    close(all_deliveries(), seconds)


def _wait_for_silent(closing: Sequence[Delivery], seconds: float, *, until: float) -> None:
    while (left := [each for each in closing if not each.finished.is_set()]) and time.monotonic() < until:
        for each in left:
            if each.is_hopeless:
                each.abort(seconds)
        _wait(left, until=min(time.monotonic() + _STEP_SECONDS, until))


def _wait(closing: Iterable[Delivery], *, until: float) -> None:
    for each in closing:
        each.finished.wait(max(until - time.monotonic(), 0))


class _AtExit:
    """The functions to call, the last one first."""

    def __init__(self) -> None:
        self.functions: list[Callable[[], None]] = []

    def call(self) -> None:
        exit_begins()
        for function in self.functions[::-1]:
            function()

    def expect_end_of_child(self) -> None:
        util.Finalize(None, self.call, exitpriority=_LATE)


_registered = _AtExit()
if multiprocessing.parent_process() is not None:  # imported too late for what follows
    _registered.expect_end_of_child()
util.register_after_fork(_registered, _AtExit.expect_end_of_child)


@in_forked_child
def _expect_end_of_celery_child() -> None:
    """Have Celery tell where a child of its pool ends, by ``os._exit``; here or after a fork it has been imported."""
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(_end_of_celery_child, weak=False)


def _end_of_celery_child(**_: object) -> None:
    _registered.call()


def at_exit(function: Callable[[], None]) -> None:
    """Call a function at the end; it must bear to be called twice."""
    atexit.register(function)
    atexit.unregister(exit_begins)
    atexit.register(exit_begins)  # the last one is called first
    _registered.functions.append(function)
    _expect_end_of_celery_child()


def not_at_exit(function: Callable[[], None]) -> None:
    """Take it back."""
    atexit.unregister(function)
    if function in _registered.functions:
        _registered.functions.remove(function)


def _close_at_exit() -> None:
    close_all(EXIT_SECONDS)


at_exit(act_on_blocked_sigterm)  # the first one here is called last, when all is delivered
at_exit(_close_at_exit)
