"""The deliveries of this process."""

import os
import weakref
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

from runspan.export.counts import Stats, by_destination, label_of

if TYPE_CHECKING:
    from runspan.export.delivery import Delivery

_numbers = count()
_deliveries: "weakref.WeakValueDictionary[int, Delivery]" = weakref.WeakValueDictionary()


def note(delivery: "Delivery") -> None:
    """Note that there is another one."""
    _deliveries[next(_numbers)] = delivery


def number_of_deliveries() -> int:
    """Return how many there are; takes no lock."""
    return len(_deliveries)


def all_deliveries() -> "list[Delivery]":
    """Return those that are alive."""
    return [delivery for reference in _deliveries.valuerefs() if (delivery := reference()) is not None]


def stats_by_destination() -> dict[str, Stats]:
    """Return the numbers of this process, those of deliveries that are gone included."""
    waiting: Counter[str] = Counter()
    for delivery in all_deliveries():
        waiting[label_of(delivery.destination)] += delivery.stats().waiting
    return {destination: counts.stats(waiting[destination]) for destination, counts in list(by_destination.items())}


class _Ending:
    """Whether the process is about to end, so that nothing may wait for a batch to fill."""

    has_begun = False


def is_ending() -> bool:
    """Tell whether each span is to be sent at once."""
    return _Ending.has_begun


def begin_ending() -> None:
    """Have all spans sent that wait, and each that ends from now on; takes no lock and does not wait."""
    _Ending.has_begun = True
    for delivery in all_deliveries():
        delivery.hurry()


def live_on() -> None:
    """Let spans wait for their batch again."""
    _Ending.has_begun = False


def _start_afresh_in_child() -> None:
    _Ending.has_begun = False
    by_destination.clear()
    for delivery in all_deliveries():
        delivery.start_afresh()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_start_afresh_in_child)
