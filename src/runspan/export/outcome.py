"""What the log says of delivery: one line when it begins to fail, one when it works again, and each oddity once."""

import logging

from runspan._threads import Lock
from runspan.export.counts import Counts, Why

_logger = logging.getLogger("runspan")
_CHECK = "Is a collector listening there?"


class Outcome:
    """Tells what became of spans in as few lines as can be, and counts those that are lost.

    Args:
        destination: Names the receiver.
        refuge: What happens to spans while the receiver doesn't answer, as the end of a sentence.
    """

    def __init__(self, destination: str, counts: Counts, *, refuge: str) -> None:
        self.lost = 0
        self.failing = False
        self.is_closing = False
        """Whether there is no later, so that a failure is told when it is final."""
        self._destination = destination
        self._counts = counts
        self._refuge = refuge
        self._lost_in_streak = 0
        self._told: set[str] = set()
        self._lock = Lock()

    def delivered(self, spans: int) -> None:
        """Note that spans have arrived."""
        self._counts.add(sent=spans)
        with self._lock:
            was_failing, self.failing = self.failing, False
            lost, self._lost_in_streak = self._lost_in_streak, 0
        if was_failing:
            outcome = f"{_were(lost)} lost before" if lost else "nothing was lost"
            _logger.info("delivery to %s works again; %s.", self._destination, outcome)

    def postponed(self, spans: int, reason: str) -> None:
        """Note that spans did not arrive and will be sent again."""
        self._counts.add(retried=spans)
        if self.is_closing:
            self.failing = True
        else:
            self._failed(spans, f"{reason}. {_CHECK} Until it answers {self._refuge}.")

    def refused(self, spans: int, reason: str) -> None:
        """Note that the receiver doesn't want spans, so that they are lost."""
        self._lose(spans, Why.REFUSED)
        self._failed(spans, f"{reason}. They are lost, since it would refuse them again. Check endpoint and headers.")

    def given_up(self, spans: int, reason: str) -> None:
        """Note that spans are lost because there is no more time for them."""
        if spans:
            self._lose(spans, Why.GIVEN_UP)
            self._failed(spans, f"{reason}. {_CHECK} They are lost.")

    def rejected(self, spans: int, reason: str) -> None:
        """Note that the receiver took a request but for these spans."""
        if spans:
            self._lose(spans, Why.REJECTED)
            self._tell_once("rejected", f"{self._destination} rejected {_spans(spans)}: {reason or 'no reason given'}.")

    def not_encodable(self, spans: int, reason: str) -> None:
        """Note that spans can't be put into a request."""
        if spans:
            self._lose(spans, Why.NOT_ENCODABLE)
            self._tell_once("not encodable", f"{_were(spans)} dropped, for OTLP can't say what is in them: {reason}.")

    def shortened(self, spans: int, most_bytes: int) -> None:
        """Note that spans were larger than a request may be."""
        if spans:
            self._counts.add(shortened=spans)
            self._tell_once(
                "shortened",
                f"{_were(spans)} larger than a request may be ({most_bytes:,} bytes) and made shorter; the attribute"
                " runspan.shortened tells where.",
            )

    def spooled(self, spans: int) -> None:
        """Note that spans were put on disk."""
        self._counts.add(spooled=spans)

    def overflowed(self, spans: int, queue_size: int) -> None:
        """Note that spans found the queue full; while nothing arrives anyway, that line has said enough."""
        with self._lock:
            self.lost += spans
            self._lost_in_streak += spans
        if spans and (self.is_closing or not self.failing):
            self._tell_once(
                "overflow",
                f"{_were(spans)} dropped: the queue of {queue_size} spans to {self._destination} is full."
                " Raise OTEL_BSP_MAX_QUEUE_SIZE, sample (OTEL_TRACES_SAMPLER), or give it a spool.",
            )

    def spool_dropped(self, spans: int, why: Why) -> None:
        """Note that the spool had no room for spans, or not for so long."""
        if spans:
            self._lose(spans, why)
            which = "oldest ones made room for new ones" if why is Why.SPOOL_FULL else "were there for too long"
            self._tell_once(why, f"{_spans(spans)} in the spool are lost: they {which}.")

    def spool_failed(self, reason: str) -> None:
        """Note that the spool could not be used."""
        if reason:
            self._tell_once("spool", f"the spool can't be used: {reason} Spans wait in memory meanwhile.")

    def spool_set_aside(self, line: str) -> None:
        """Note that a damaged spool was set aside."""
        if line:
            self._tell_once("set aside", line)

    def _failed(self, spans: int, why: str) -> None:
        with self._lock:
            was_failing, self.failing = self.failing, True
        if not was_failing or self.is_closing:
            _logger.warning("could not deliver %s to %s: %s", _spans(spans), self._destination, why)

    def _lose(self, spans: int, why: Why) -> None:
        self._counts.drop(spans, why)
        with self._lock:
            self.lost += spans
            self._lost_in_streak += spans

    def _tell_once(self, what: str, line: str) -> None:
        with self._lock:
            tell = what not in self._told
            self._told.add(what)
        if tell:
            _logger.warning("%s Further ones are only counted.", line)


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count:,} spans"


def _were(count: int) -> str:
    return f"{_spans(count)} {'was' if count == 1 else 'were'}"
