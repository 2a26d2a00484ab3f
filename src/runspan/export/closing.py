"""The end of deliveries: all that can be delivered in a given time, for as many of them as there are."""

import time
from collections.abc import Iterable, Sequence

from runspan.export.alive import all_deliveries
from runspan.export.delivery import Delivery
from runspan.export.exiting import at_exit

EXIT_SECONDS = 4.0
# Shares of the time: an exporter that complains gets the first, one that is silent both; what is left is for the
# exporter to break off.
_FIRST_SHARE = 0.5
_SECOND_SHARE = 0.4
# Then those that still complain make room for others every so often.
_STEP_SECONDS = 0.05


def close(deliveries: Iterable[Delivery], seconds: float) -> None:
    """Deliver what is queued if that can be done in time, then stop; what is closed already stays as it is.

    What another thread is closing is waited for, too: if the process ends first, nobody would tell its losses.
    """
    began = time.monotonic()
    closing = [each for each in deliveries if each.begin_closing() or not each.finished.is_set()]
    _wait(closing, until=began + seconds * _FIRST_SHARE)
    _wait_for_the_silent(closing, seconds, until=began + seconds * (_FIRST_SHARE + _SECOND_SHARE))
    for each in closing:
        each.break_off(seconds)
    _wait(closing, until=began + seconds)
    for each in closing:
        each.abandon()


def close_all(seconds: float) -> None:
    """Close every delivery of this process, in one time for all."""
    close(all_deliveries(), seconds)


def _wait_for_the_silent(closing: Sequence[Delivery], seconds: float, *, until: float) -> None:
    while (left := [each for each in closing if not each.finished.is_set()]) and time.monotonic() < until:
        for each in left:
            if each.complains:
                each.break_off(seconds)
        _wait(left, until=min(time.monotonic() + _STEP_SECONDS, until))


def _wait(closing: Iterable[Delivery], *, until: float) -> None:
    for each in closing:
        each.finished.wait(max(until - time.monotonic(), 0))


def _close_at_exit() -> None:
    close_all(EXIT_SECONDS)


at_exit(_close_at_exit)
