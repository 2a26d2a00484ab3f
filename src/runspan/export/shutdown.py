"""The end of deliveries: all that can be delivered in a given time, for as many of them as there are."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from runspan._process_exit import at_exit
from runspan.export.delivery import Delivery, all_deliveries

EXIT_SECONDS: Final = 4.0
# Shares of the time: what fails gets the first, what is silent both; in the rest the clients break off.
_FAILING_SHARE: Final = 0.5
_SILENT_SHARE: Final = 0.9
_STEP_SECONDS: Final = 0.05


def close(deliveries: Iterable[Delivery], seconds: float) -> None:
    """Deliver what is queued if that can be done in time, then stop; what is closed already stays as it is.

    What another thread is closing is waited for, too: if the process ends first, nobody would report its losses.
    """
    began = time.monotonic()
    closing = [each for each in deliveries if each.begin_closing() or not each.finished.is_set()]
    without_thread = [each for each in closing if not each.finished.is_set() and not each.flush_soon()]
    for number, each in enumerate(without_thread):
        left = began + seconds * _SILENT_SHARE - time.monotonic()
        each.work_here(time.monotonic() + max(left, 0) / (len(without_thread) - number), each.finished)
    with_thread = [each for each in closing if each not in without_thread]
    for working in _working(with_thread, until=began + seconds * _SILENT_SHARE):
        if time.monotonic() > began + seconds * _FAILING_SHARE:
            for each in working:
                if each.is_hopeless:  # makes room for others
                    each.abort(seconds)
    for each in closing:
        each.abort(seconds)
    for _ in _working(with_thread, until=began + seconds):
        pass
    for each in closing:
        each.finish()


def close_all(seconds: float = EXIT_SECONDS) -> None:
    """Close every delivery of this process, in one time for all."""
    close(all_deliveries(), seconds)


def _working(deliveries: Sequence[Delivery], *, until: float) -> Iterator[Sequence[Delivery]]:
    """Wait until all have finished, and yield those that have not every so often."""
    while (working := [each for each in deliveries if each.is_working]) and (now := time.monotonic()) < until:
        yield working
        working[0].finished.wait(min(_STEP_SECONDS, until - now))


at_exit(close_all)
