"""What became of spans, as numbers: for ``stats()``, and for each destination as OpenTelemetry metrics."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import partial
from itertools import count
from typing import Final, Literal, Protocol, TypeAlias
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from runspan._by_identity import ByIdentity
from runspan._forking import in_forked_child
from runspan._threads import Lock
from runspan._version import __version__
from runspan.semconv import delivery_names
from runspan.semconv.name_table import description_of

MOST_DESTINATIONS: Final = 300
"""How many are counted apart: each is kept for good, and is a time series of every metric."""
OTHER_DESTINATIONS: Final = "_OTHER"


class DropReason(StrEnum):
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
    SPOOL_DAMAGED = "spool_damaged"


Counted: TypeAlias = Literal["taken", "sent", "retried", "shortened", "spooled"] | DropReason


@dataclass(frozen=True)
class Stats:
    """How many spans went which way, in this process.

    Args:
        taken: ended and sampled, so taken for delivery.
        sent: delivered: the receiver said so. Also those that an earlier process had spooled.
        retried: to be sent again after an attempt that failed, counted for each such attempt.
        shortened: larger than a request may be, so made shorter.
        spooled: put on disk.
        dropped: lost, by reason; the reasons are those of ``DropReason``.
        waiting: not yet delivered or spooled.

    Example:
        >>> stats = handle.stats()
        >>> print(f"{stats.sent} of {stats.taken} sent; lost: {dict(stats.dropped)}")
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
        names = {each.name for each in fields(self)} - {"dropped"}
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Stats(dropped=dict(sorted(dropped.items())), **sums)


class _Tally:
    """Counts up without a lock, since a finalizer may end a span in the middle of anything; reading takes one."""

    def __init__(self) -> None:
        self._steps = count()
        self._reads = 0
        self._reading = Lock()

    def add(self, number: int) -> None:
        for _ in range(number):
            next(self._steps)

    def value(self) -> int:
        with self._reading:
            value = next(self._steps) - self._reads
            self._reads += 1
        return value


class Waits(Protocol):
    """What holds spans for a while."""

    def waiting(self) -> int:
        """Return how many it holds now."""


class Counters:
    """The counters of one delivery; what is counted is also counted in those of its destination."""

    def __init__(self, of_destination: "Counters | None" = None, *, owner: Waits | None = None) -> None:
        self._of_destination = of_destination
        self._tallies: dict[Counted, _Tally] = {}
        self._owners: WeakSet[Waits] = WeakSet()
        for counters in (self, of_destination):
            if owner is not None and counters is not None:
                counters._owners.add(owner)  # noqa: SLF001  of this class

    def count(self, what: Counted, spans: int = 1) -> None:
        """Count what happened to spans; takes no lock."""
        if spans:
            (self._tallies.get(what) or self._tallies.setdefault(what, _Tally())).add(spans)
            if self._of_destination is not None:
                self._of_destination.count(what, spans)

    def number(self, what: Counted) -> int:
        """Return how many spans that happened to."""
        return self._tallies[what].value() if what in self._tallies else 0

    def stats(self) -> Stats:
        """Return the numbers of now."""
        numbers = {what: self.number(what) for what in self._tallies.copy()}
        dropped = {str(reason): numbers.pop(reason) for reason in sorted(DropReason) if reason in numbers}
        return Stats(dropped=dropped, waiting=sum(owner.waiting() for owner in list(self._owners)), **numbers)


by_destination: defaultdict[str, Counters] = defaultdict(Counters)
"""The counters of each destination of this process, kept when its processors are gone."""
in_forked_child(by_destination.clear)


def counters_of(destination: str) -> Counters:
    """Return those of a destination; all that come after many others share theirs."""
    is_known = destination in by_destination or len(by_destination) < MOST_DESTINATIONS
    return by_destination[destination if is_known else OTHER_DESTINATIONS]


_observed: ByIdentity[MeterProvider, object] = ByIdentity()


def observe_deliveries(meter_provider: MeterProvider | None = None) -> None:
    """Have a meter provider, the global one by default, read the counters of all deliveries; once is enough."""
    provider = meter_provider or get_meter_provider()
    mark = object()
    if _observed.setdefault(provider, mark) is not mark:
        return
    meter = provider.get_meter("runspan.export", __version__)
    for number, name in delivery_names.SPANS.items():
        goes_down = number == "waiting"
        create = meter.create_observable_up_down_counter if goes_down else meter.create_observable_counter
        create(name, [partial(_observe, number)], unit="{span}", description=description_of(name))


def _observe(number: str, _: CallbackOptions) -> Iterable[Observation]:
    for destination, counters in list(by_destination.items()):
        value = getattr(counters.stats(), number)
        by_reason = value if isinstance(value, Mapping) else {None: value}
        for reason, spans in by_reason.items():
            labels = {} if reason is None else {delivery_names.DROP_REASON: reason}
            yield Observation(spans, {delivery_names.DESTINATION: destination, **labels})
