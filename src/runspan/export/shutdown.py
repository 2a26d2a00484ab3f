"""The end of deliveries: all that can be delivered in a given time, for as many of them as there are."""

import time
from collections.abc import Iterable
from typing import Final

from runspan._process_exit import at_exit
from runspan.export.delivery import Delivery, all_deliveries

EXIT_SECONDS: Final = 4.0
# Shares of the time: who fails gets the first, who is silent both; in the rest what is left goes to disk.
_FAILING_SHARE: Final = 0.5
_SILENT_SHARE: Final = 0.9


def close(deliveries: Iterable[Delivery], seconds: float) -> None:
    """Deliver what is queued if that can be done in time, then stop; what is closed already stays as it is.

    What another thread is closing is waited for, too: if the process ends first, nobody would report its losses.
    """
    began = time.monotonic()
    failing_until, silent_until = began + seconds * _FAILING_SHARE, began + seconds * _SILENT_SHARE
    closing = [each for each in deliveries if each.begin_closing(failing_until) or not each.finished.is_set()]
    without_thread = [each for each in closing if not each.finished.is_set() and not each.flush_soon()]
    try:
        for number, each in enumerate(without_thread):
            left = max(silent_until - time.monotonic(), 0)
            each.work_here(time.monotonic() + left / (len(without_thread) - number), each.finished)
        for each in closing:
            if each not in without_thread:
                each.finished.wait(max(silent_until - time.monotonic(), 0))
    except BaseException:  # Ctrl-C: who presses it again has no more time
        seconds = time.monotonic() - began
        raise
    finally:
        for each in closing:
            each.end(seconds)


def close_all(seconds: float = EXIT_SECONDS) -> None:
    """Close every delivery of this process, in one time for all."""
    close(all_deliveries(), seconds)


def begin_ending() -> None:
    """Have all spans sent that wait, and each that ends from now on; takes no lock and does not wait."""
    Delivery.is_ending = True
    for delivery in all_deliveries():
        delivery.flush_soon()


def live_on() -> None:
    """Let spans wait for their batch again."""
    Delivery.is_ending = False


at_exit(close_all)
