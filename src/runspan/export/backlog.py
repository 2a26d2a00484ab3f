"""Requests that wait for another try: on disk where there is a spool that works, else in memory."""

from collections.abc import Sequence

from runspan._threads import Lock
from runspan.export.counts import Why
from runspan.export.outcome import Outcome
from runspan.export.request import Request
from runspan.export.spool.files import SpoolFile, Told
from runspan.export.spool.rows import Stored

_BYTES_AT_ONCE = 8_000_000


class Backlog:
    """What one receiver has yet to be sent; any worker may use it."""

    def __init__(self, spool: SpoolFile | None) -> None:
        self._spool = spool

    def start_afresh(self, outcome: Outcome) -> None:
        """Forget what is in memory; a forked child calls it, for it belongs to its parent."""
        self._outcome = outcome
        self._held: list[Request] = []
        self._has_stored = False
        self._lock = Lock()
        self.held_spans = 0

    def is_empty(self) -> bool:
        """Tell whether there is nothing to be sent, whoever kept it."""
        waiting = None if self._spool is None else self._spool.waiting()
        return not self._held and (waiting is None or not waiting.requests)

    def is_own_gone(self) -> bool:
        """Tell whether all that this process kept has been delivered, by whomever."""
        if self._held or self._spool is None or not self._has_stored:
            return not self._held
        waiting = self._spool.waiting(own=True)
        return waiting is not None and not waiting.requests

    def keep(self, requests: Sequence[Request]) -> None:
        """Keep requests for later."""
        left = self.store(requests)
        with self._lock:
            self._held.extend(left)
            self._count()

    def store(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Put requests on disk; return those that could not be."""
        if self._spool is None or not requests:
            return requests
        put = self._spool.put(requests)
        self._tell(put)
        self._has_stored |= len(put.left) < len(requests)
        self._outcome.spooled(sum(request.spans for request in requests) - sum(request.spans for request in put.left))
        return put.left

    def take_held(self) -> list[Request]:
        """Take what is in memory."""
        with self._lock:
            held, self._held = self._held, []
            self._count()
        return held

    def take_spooled(self) -> Sequence[Stored]:
        """Claim some of what is on disk; end each claim by ``done`` or ``give_back``."""
        if self._spool is None:
            return ()
        taken = self._spool.take(_BYTES_AT_ONCE)
        self._tell(taken)
        return taken.stored

    def done(self, stored: Sequence[Stored]) -> None:
        """Remove what needs no other try."""
        if self._spool is not None and stored:
            self._spool.done([each.id for each in stored])

    def give_back(self, stored: Sequence[Stored]) -> None:
        """Leave it to another try, perhaps of another process."""
        if self._spool is not None and stored:
            self._spool.give_back([each.id for each in stored])

    def _tell(self, told: Told) -> None:
        self._outcome.spool_dropped(told.dropped_for_room, Why.SPOOL_FULL)
        self._outcome.spool_dropped(told.dropped_for_age, Why.SPOOL_TOO_OLD)
        self._outcome.spool_failed(told.reason)
        self._outcome.spool_set_aside(told.set_aside)

    def _count(self) -> None:
        self.held_spans = sum(request.spans for request in self._held)
