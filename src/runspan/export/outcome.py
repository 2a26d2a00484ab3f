"""What became of the spans, and the one log line that says so when it changes."""

import logging
import threading

_logger = logging.getLogger("runspan")


class Outcome:
    """Counts lost spans; logs one line when delivery begins to fail and one when it works again."""

    def __init__(self, destination: str) -> None:
        self.lost = 0
        self.failing = False
        self._destination = destination
        self._lost_in_streak = 0
        self._overflow_told = False
        self._lock = threading.Lock()

    def delivered(self) -> None:
        """Note that a batch has arrived."""
        with self._lock:
            was_failing, self.failing = self.failing, False
            lost, self._lost_in_streak = self._lost_in_streak, 0
        if was_failing:
            _logger.info("delivery to %s works again; %s lost before.", self._destination, _were(lost))

    def failed(self, count: int, reason: str) -> None:
        """Note that spans could not be delivered and are gone."""
        with self._lock:
            was_failing, self.failing = self.failing, True
            self._lose(count)
        if not was_failing:
            _logger.warning(
                "could not deliver %s to %s: %s. Is a collector listening there? Spans are dropped until it answers.",
                _spans(count),
                self._destination,
                reason,
            )

    def refused(self, count: int, queue_size: int) -> None:
        """Note that spans found the queue full; while nothing arrives anyway, that line has said enough."""
        with self._lock:
            self._lose(count)
            tell = bool(count) and not (self.failing or self._overflow_told)
            self._overflow_told |= tell
        if tell:
            _logger.warning(
                "%s dropped, and further ones are only counted: the queue of %d spans to %s is"
                " full. Raise OTEL_BSP_MAX_QUEUE_SIZE, or sample (OTEL_TRACES_SAMPLER).",
                _were(count),
                queue_size,
                self._destination,
            )

    def _lose(self, count: int) -> None:
        self.lost += count
        self._lost_in_streak += count


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count} spans"


def _were(count: int) -> str:
    return f"{_spans(count)} {'was' if count == 1 else 'were'}"
