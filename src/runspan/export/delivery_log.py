"""What the log says of delivery: one line when it begins to fail, one when it works again, and each oddity once."""

import logging
from collections.abc import Mapping
from typing import Final

from runspan._threads import Lock
from runspan.export.stats import Counted, Counters, DropReason, Waits, counters_of

_logger = logging.getLogger("runspan")
# What is logged when delivery begins to fail, and what is final at its end: what happened, and the remedy.
_FAILURES: Final[Mapping[Counted, str]] = {
    "retried": "{reason}. Is a collector listening there? Until it answers {meanwhile}.",
    DropReason.REFUSED: "{reason}. They are lost, since it would refuse them again. Check endpoint and headers.",
    DropReason.GIVEN_UP: "{reason}. Is a collector listening there? They are lost.",
}
# What is logged once.
_ODDITIES: Final[Mapping[Counted, str]] = {
    "shortened": "{were} larger than a request may be ({reason} bytes) and made shorter; the attribute"
    " runspan.shortened names what was cut.",
    DropReason.QUEUE_FULL: "{were} dropped: the queue to {destination} is full ({room})."
    " Raise OTEL_BSP_MAX_QUEUE_SIZE if it is their number, sample (OTEL_TRACES_SAMPLER), or give it a spool.",
    DropReason.REJECTED: "{destination} rejected {spans}: {reason}.",
    DropReason.NOT_ENCODABLE: "{were} dropped, for OTLP can't say what is in them: {reason}.",
    DropReason.SPOOL_FULL: "{were} dropped from the spool: they were the oldest ones, which made room for new ones.",
    DropReason.SPOOL_TOO_OLD: "{were} dropped from the spool, where they had been for too long.",
    DropReason.SPOOL_DAMAGED: "{were} lost in the spool, for their file is damaged.",
}


class DeliveryLog(Counters):
    """Counts what became of spans, and logs it in as few lines as can be.

    ``meanwhile`` is the end of a sentence: what happens to spans while the receiver doesn't answer; ``room`` what its
    queue holds.
    """

    def __init__(self, destination: str, owner: Waits, *, meanwhile: str, room: str) -> None:
        super().__init__(counters_of(destination), owner=owner)
        self.lost = 0
        self.failing: frozenset[Counted] = frozenset()
        """What failed since something arrived."""
        self.is_closing = False
        """Whether there is no later, so that a failure is logged when it is final."""
        self._names: dict[str, object] = {"destination": destination, "meanwhile": meanwhile, "room": room}
        self._lost_in_streak = self._overflowed = 0
        self._logged: set[str] = set()
        self._lock = Lock()

    def delivered(self, spans: int) -> None:
        """Note that spans have arrived."""
        self.count("sent", spans)
        with self._lock:
            was_failing, self.failing = self.failing, frozenset()
            lost, self._lost_in_streak = self._lost_in_streak, 0
        if was_failing:
            losses = f"{_were(lost)} lost before" if lost else "nothing was lost"
            _logger.info("delivery to %s works again; %s.", self._names["destination"], losses)

    def note(self, what: Counted, spans: int, reason: str = "") -> None:
        """Note what else became of spans; ``reason`` is what the receiver said, or the limit that stood in the way."""
        if spans:
            self.count(what, spans)
            if what in _FAILURES or what in _ODDITIES:
                self._log(what, spans, reason)

    def note_overflow(self) -> None:
        """Note how many spans have found the queue full, which were counted then."""
        before, self._overflowed = self._overflowed, self.number(DropReason.QUEUE_FULL)
        spans = self._overflowed - before
        if spans:
            self._log(DropReason.QUEUE_FULL, spans, "")

    def spool_failed(self, reason: str) -> None:
        """Note that the spool could not be used."""
        self._log_once("spool", f"the spool can't be used: {reason} Spans wait in memory meanwhile.")

    def _log(self, what: Counted, spans: int, reason: str) -> None:
        with self._lock:
            lost = spans if isinstance(what, DropReason) else 0
            self.lost += lost
            self._lost_in_streak += lost
            was_failing, self.failing = self.failing, self.failing | (_FAILURES.keys() & {what})
        fields = self._names | {"spans": _spans(spans), "were": _were(spans), "reason": reason or "no reason given"}
        if what in _FAILURES:
            is_news = lost > 0 if self.is_closing else what not in was_failing
            if is_news:
                template = "could not deliver {spans} to {destination}: " + _FAILURES[what]
                _logger.warning("%s", template.format(**fields))
        # While nothing arrives anyway, the line about that has said enough of what found no room.
        elif what != DropReason.QUEUE_FULL or self.is_closing or not was_failing:
            self._log_once(what, _ODDITIES[what].format(**fields))

    def _log_once(self, what: str, line: str) -> None:
        with self._lock:
            is_new = what not in self._logged
            self._logged.add(what)
        if is_new:
            _logger.warning("%s Further ones are only counted.", line)


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count:,} spans"


def _were(count: int) -> str:
    return f"{_spans(count)} {'was' if count == 1 else 'were'}"
