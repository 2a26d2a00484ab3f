"""The end of deliveries: all that can be delivered in a given time, for as many of them as there are."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from runspan._process_exit import at_exit
from runspan.export.delivery import Delivery, all_deliveries

EXIT_SECONDS: Final = 4.0
# Shares of the time: a receiver that fails gets the first, one that is silent both; what is left is for the client to
# break off.
_FIRST_SHARE: Final = 0.5
_SECOND_SHARE: Final = 0.4
# Then those that still fail make room for others every so often.
_STEP_SECONDS: Final = 0.05


def close(deliveries: Iterable[Delivery], seconds: float) -> None:
    """Deliver what is queued if that can be done in time, then stop; what is closed already stays as it is.

    What another thread is closing is waited for, too: if the process ends first, nobody would report its losses.
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


def close_all(seconds: float = EXIT_SECONDS) -> None:
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


at_exit(close_all)
