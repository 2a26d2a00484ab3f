"""What the log says of delivery: one line when it begins to fail, one when it works again, and each oddity once."""

import logging

from runspan._threads import Lock
from runspan.export.stats import Counters, DropReason

_logger = logging.getLogger("runspan")
_CHECK = "Is a collector listening there?"


class DeliveryLog:
    """Tells what became of spans in as few lines as can be, and counts those that are lost.

    Args:
        destination: names the receiver.
        meanwhile: what happens to spans while the receiver doesn't answer, as the end of a sentence.
    """

    def __init__(self, destination: str, counters: Counters, *, meanwhile: str) -> None:
        self.lost = 0
        self.failing = False
        self.is_closing = False
        """Whether there is no later, so that a failure is told when it is final."""
        self._destination = destination
        self._counters = counters
        self._meanwhile = meanwhile
        self._lost_in_streak = 0
        self._logged: set[str] = set()
        self._lock = Lock()

    def delivered(self, spans: int) -> None:
        """Note that spans have arrived."""
        self._counters.add(sent=spans)
        with self._lock:
            was_failing, self.failing = self.failing, False
            lost, self._lost_in_streak = self._lost_in_streak, 0
        if was_failing:
            losses = f"{_were(lost)} lost before" if lost else "nothing was lost"
            _logger.info("delivery to %s works again; %s.", self._destination, losses)

    def postponed(self, spans: int, reason: str) -> None:
        """Note that spans did not arrive and will be sent again."""
        self._counters.add(retried=spans)
        if self.is_closing:
            self.failing = True
        else:
            self._failed(spans, f"{reason}. {_CHECK} Until it answers {self._meanwhile}.")

    def refused(self, spans: int, reason: str) -> None:
        """Note that the receiver doesn't want spans, so that they are lost."""
        self._lose(spans, DropReason.REFUSED)
        self._failed(spans, f"{reason}. They are lost, since it would refuse them again. Check endpoint and headers.")

    def given_up(self, spans: int, reason: str) -> None:
        """Note that spans are lost because there is no more time for them."""
        if spans:
            self._lose(spans, DropReason.GIVEN_UP)
            self._failed(spans, f"{reason}. {_CHECK} They are lost.")

    def rejected(self, spans: int, reason: str) -> None:
        """Note that the receiver took a request but for these spans."""
        line = f"{self._destination} rejected {_spans(spans)}: {reason or 'no reason given'}."
        self._drop(spans, DropReason.REJECTED, line)

    def not_encodable(self, spans: int, reason: str) -> None:
        """Note that spans can't be put into a request."""
        line = f"{_were(spans)} dropped, for OTLP can't say what is in them: {reason}."
        self._drop(spans, DropReason.NOT_ENCODABLE, line)

    def shortened(self, spans: int, most_bytes: int) -> None:
        """Note that spans were larger than a request may be."""
        if spans:
            self._counters.add(shortened=spans)
            self._log_once(
                "shortened",
                f"{_were(spans)} larger than a request may be ({most_bytes:,} bytes) and made shorter; the attribute"
                " runspan.shortened tells where.",
            )

    def overflowed(self, spans: int, queue_size: int) -> None:
        """Note that spans found the queue full; while nothing arrives anyway, that line has said enough."""
        with self._lock:
            self.lost += spans
            self._lost_in_streak += spans
        if spans and (self.is_closing or not self.failing):
            self._log_once(
                DropReason.QUEUE_FULL,
                f"{_were(spans)} dropped: the queue of {queue_size} spans to {self._destination} is full."
                " Raise OTEL_BSP_MAX_QUEUE_SIZE, sample (OTEL_TRACES_SAMPLER), or give it a spool.",
            )

    def spooled(self, spans: int) -> None:
        """Note that spans were put on disk."""
        self._counters.add(spooled=spans)

    def spool_dropped(self, spans: int, reason: DropReason, why: str) -> None:
        """Note that the spool has lost spans; ``why`` ends a sentence."""
        self._drop(spans, reason, f"{_spans(spans)} in the spool are lost: they {why}.")

    def spool_failed(self, reason: str) -> None:
        """Note that the spool could not be used."""
        self._log_once("spool", f"the spool can't be used: {reason} Spans wait in memory meanwhile.")

    def _failed(self, spans: int, why: str) -> None:
        with self._lock:
            was_failing, self.failing = self.failing, True
        if not was_failing or self.is_closing:
            _logger.warning("could not deliver %s to %s: %s", _spans(spans), self._destination, why)

    def _drop(self, spans: int, reason: DropReason, line: str) -> None:
        if spans:
            self._lose(spans, reason)
            self._log_once(reason, line)

    def _lose(self, spans: int, reason: DropReason) -> None:
        self._counters.drop(spans, reason)
        with self._lock:
            self.lost += spans
            self._lost_in_streak += spans

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
