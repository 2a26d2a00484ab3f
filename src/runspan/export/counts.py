"""What became of spans, as numbers: for ``stats()``, and for each destination as OpenTelemetry metrics."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Final

from runspan._threads import Lock

MOST_DESTINATIONS: Final = 300
"""How many are counted apart: each is kept for good, and is a time series of every metric."""
OTHER_DESTINATIONS: Final = "_OTHER"


class Why(StrEnum):
    """Why spans were dropped."""

    QUEUE_FULL = "queue_full"
    SHUTDOWN = "shutdown"  # they ended after it
    REFUSED = "refused"  # the receiver would not take the request, nor the same again
    REJECTED = "rejected"  # it took the request, but not these: a partial success
    NOT_ENCODABLE = "not_encodable"
    GIVEN_UP = "given_up"  # not delivered when the time was over
    RUN_ENDED = "run_ended"  # a marker of a start that was not sent before the end
    SPOOL_FULL = "spool_full"
    SPOOL_TOO_OLD = "spool_too_old"


@dataclass(frozen=True)
class Stats:
    """How many spans went which way, in this process.

    Args:
        taken: Ended and sampled, so taken for delivery.
        sent: Delivered: the receiver said so. Also those that an earlier process had spooled.
        retried: To be sent again after a try that failed, counted for each such try.
        shortened: Larger than a request may be, so made shorter.
        spooled: Put on disk.
        dropped: Lost, by reason; the reasons are those of ``Why``.
        waiting: Not yet delivered or spooled.
    """

    taken: int = 0
    sent: int = 0
    retried: int = 0
    shortened: int = 0
    spooled: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0

    def __add__(self, other: "Stats") -> "Stats":
        """Return the sums."""
        dropped = Counter(self.dropped) + Counter(other.dropped)
        return Stats(
            self.taken + other.taken,
            self.sent + other.sent,
            self.retried + other.retried,
            self.shortened + other.shortened,
            self.spooled + other.spooled,
            dict(sorted(dropped.items())),
            self.waiting + other.waiting,
        )


class _Tally:
    """Counts up without a lock, since a finalizer may end a span in the middle of anything; reading takes one."""

    def __init__(self) -> None:
        self._steps = count()
        self._reads = 0
        self._reading = Lock()

    def step(self) -> None:
        next(self._steps)

    def value(self) -> int:
        with self._reading:
            value = next(self._steps) - self._reads
            self._reads += 1
        return value


class Counts:
    """The counters of one delivery; what is counted is also counted in those of its destination.

    ``take`` and ``refuse`` are safe where spans end; the others are for workers.
    """

    def __init__(self, of_destination: "Counts | None" = None) -> None:
        self._of_destination = of_destination
        self._taken = _Tally()
        self._refused = {Why.QUEUE_FULL: _Tally(), Why.SHUTDOWN: _Tally()}
        self._lock = Lock()
        self._numbers: Counter[str] = Counter()
        self._dropped: Counter[Why] = Counter()

    def take(self) -> None:
        """Count a span that ended."""
        self._taken.step()
        if self._of_destination is not None:
            self._of_destination.take()

    def refuse(self, why: Why) -> None:
        """Count one that was dropped at once."""
        self._refused[why].step()
        if self._of_destination is not None:
            self._of_destination.refuse(why)

    def add(self, *, sent: int = 0, retried: int = 0, shortened: int = 0, spooled: int = 0) -> None:
        """Count what happened to spans that were taken."""
        with self._lock:
            self._numbers.update(sent=sent, retried=retried, shortened=shortened, spooled=spooled)
        if self._of_destination is not None:
            self._of_destination.add(sent=sent, retried=retried, shortened=shortened, spooled=spooled)

    def drop(self, spans: int, why: Why) -> None:
        """Count spans that are lost."""
        with self._lock:
            self._dropped[why] += spans
        if self._of_destination is not None:
            self._of_destination.drop(spans, why)

    @property
    def refused(self) -> int:
        """How many found the queue full."""
        return self._refused[Why.QUEUE_FULL].value()

    def stats(self, waiting: int = 0) -> Stats:
        """Return the numbers of now."""
        refused = {why: tally.value() for why, tally in self._refused.items()}
        with self._lock:
            numbers, dropped = dict(self._numbers), self._dropped + Counter(refused)
        reasons = {str(why): dropped[why] for why in sorted(dropped)}
        return Stats(taken=self._taken.value(), dropped=reasons, waiting=waiting, **numbers)


by_destination: defaultdict[str, Counts] = defaultdict(Counts)
"""The counters of each destination of this process, kept when its processors are gone."""


def label_of(destination: str) -> str:
    """Return under which name a destination is counted: its own, or one for all that come after many others."""
    is_known = destination in by_destination or len(by_destination) < MOST_DESTINATIONS
    return destination if is_known else OTHER_DESTINATIONS
