"""The way of ended spans from a processor's queue to its exporter, told truthfully and with one log line.

No lock is taken where spans come in: a generator that the garbage collector closes may end a span in the middle of
anything, so the queue is a deque, and a worker is asked for by a ``put`` that is safe to re-enter.
"""

import os
import threading
import time
import weakref
from collections import deque
from itertools import count

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from runspan._guard import attempt
from runspan.export.complaints import Complaints, listening_to
from runspan.export.lanes import LONGEST_WAIT_SECONDS, Turn
from runspan.export.outcome import Outcome
from runspan.export.workers import workers

_LATE = f"it failed before, and no worker was free for another try within {LONGEST_WAIT_SECONDS:.3g} s"


class Delivery:
    """The spans of one processor on their way; one worker at a time takes them in batches.

    Between two turns of a worker nothing but the processor refers to it. While spans are queued the workers do, so a
    processor that was thrown away still delivers.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        destination: str,
        *,
        max_queue_size: int,
        max_batch_size: int,
        schedule_delay_seconds: float,
    ) -> None:
        self._exporter = exporter
        self._destination = destination
        self._max_queue_size = max_queue_size
        self._max_batch_size = min(max_batch_size, max_queue_size)
        self._schedule_delay_seconds = schedule_delay_seconds
        self.closed = False
        self.finished = threading.Event()
        self._given_up = ""
        self._broken_off = False
        self._abandoned = False
        self.start_afresh()
        _deliveries[next(_numbers)] = self

    def start_afresh(self) -> None:
        """Forget queue and outcome; a forked child calls it, for both belong to its parent."""
        self._queue: deque[ReadableSpan | _Flush] = deque()
        self._alarm: Turn | None = None
        self._batch_announced = False
        self._asked: deque[bool] = deque()
        self._delivering = threading.Lock()
        self._outcome = Outcome(self._destination)
        self._complaints = Complaints()
        self._answered: bool | None = None
        self._in_flight = 0
        self._losses_told = 0
        self._refusals = count(1)
        self._refused = self._refused_noted = 0

    def expect(self) -> None:
        """Have a worker started for each delivery there is, so that one that hangs doesn't hold up the others."""
        if not self.closed:
            workers.ensure_started(len(_deliveries))

    def add(self, span: ReadableSpan) -> None:
        """Queue a span and see to it that a worker comes in time."""
        if self.closed:
            return
        if len(self._queue) >= self._max_queue_size:
            self._refused = next(self._refusals)
            return
        self._queue.append(span)
        if self._alarm is None or not self._alarm.renew(self._deliver_all):
            due = time.monotonic() + self._schedule_delay_seconds
            self._alarm = workers.ask(self._deliver_all, due=due, destination=self._destination)
        if len(self._queue) >= self._max_batch_size and not self._batch_announced:
            self._batch_announced = True
            workers.ask(self._deliver_full_batches, destination=self._destination)
        workers.ensure_started()

    def flush(self, seconds: float) -> bool:
        """Deliver what is queued and tell whether all arrived, and nothing was lost since the last call."""
        if self.closed:
            return False
        flush = _Flush(self._losses_told)
        if self._is_pending():
            self._queue.append(flush)
            workers.ask(self._deliver_all, destination=self._destination)
            if workers.ensure_started():
                flush.reached.wait(seconds)
        else:
            flush.reach(self._outcome)
        self._losses_told = max(self._losses_told, flush.losses)
        return flush.delivered

    def begin_closing(self) -> bool:
        """Take no more spans and ask for the last turn, ``finished`` tells when it is over; False if closed before."""
        if self.closed:
            return False
        self.closed = True
        if not self._is_pending():
            self.finished.set()
        elif workers.ensure_started():
            workers.ask(self._deliver_all, destination=self._destination)
        else:
            self._given_up = "no thread could be started to send them"
            self.finished.set()
        return True

    @property
    def complains(self) -> bool:
        """Whether the exporter complained of the batch that it has now."""
        return self._in_flight > 0 and self._complaints.heard

    def break_off(self, seconds: float) -> None:
        """Give up after this time: no batch is begun any more, the exporter is shut down."""
        if self._complaints.heard:
            reason = self._complaints.reason
        else:
            reason = f"{'no answer' if self._in_flight else 'no worker was free'} within {seconds:.3g} s"
        self._given_up = self._given_up or reason
        if not self._broken_off:
            self._broken_off = True
            attempt(self._exporter.shutdown, default=None)

    def abandon(self) -> None:
        """Tell what is lost; what the worker finds out from now on has no effect."""
        self._abandoned = True
        self._lose(self._in_flight, self._given_up)

    def _is_pending(self) -> bool:
        return bool(self._queue) or self._delivering.locked()

    def _deliver_all(self, late: bool) -> bool | None:
        return self._take_turn(everything=True, late=late)

    def _deliver_full_batches(self, late: bool) -> bool | None:
        return self._take_turn(everything=False, late=late)

    def _take_turn(self, *, everything: bool, late: bool) -> bool | None:
        """Deliver and tell whether the receiver answered, None if it was not asked.

        While another worker delivers this one has nothing to do: the other looks again before it leaves.
        """
        self._asked.append(everything)
        answered = None
        while self._asked and self._delivering.acquire(blocking=False):
            try:
                heard = self._deliver(everything=self._is_everything_asked(), late=late)
                if self.closed and (not self._queue or self._given_up):
                    self.finished.set()
            finally:
                self._delivering.release()
            answered = answered if heard is None else heard
        return answered

    def _is_everything_asked(self) -> bool:
        everything = False
        while self._asked:
            everything |= self._asked.popleft()
        return everything

    def _deliver(self, *, everything: bool, late: bool) -> bool | None:
        self._batch_announced = False
        if everything and self._alarm is not None:
            self._alarm.cancel()  # before the queue is read: a span that comes now sets it again
        if late:
            self._lose(0, _LATE)
        answered = None
        left = len(self._queue) if everything else 0
        while self._queue and not self._given_up and (left > 0 or len(self._queue) >= self._max_batch_size):
            batch, flush = self._next_batch()
            left -= len(batch) + (flush is not None)
            if batch:
                answered = self._export(batch)
            if flush is not None:
                flush.reach(self._outcome)
        return answered

    def _next_batch(self) -> "tuple[list[ReadableSpan], _Flush | None]":
        batch: list[ReadableSpan] = []
        while self._queue and len(batch) < self._max_batch_size:
            item = self._queue.popleft()
            if isinstance(item, _Flush):
                return batch, item
            batch.append(item)
        return batch, None

    def _export(self, batch: list[ReadableSpan]) -> bool:
        self._complaints = Complaints()
        self._in_flight = len(batch)
        with listening_to(self._complaints):
            result = attempt(self._call_exporter, batch, default=SpanExportResult.FAILURE)
        delivered = result is SpanExportResult.SUCCESS
        if not self._abandoned:  # else it was told what became of this batch
            self._in_flight = 0
            self._tell(len(batch), delivered=delivered)
        return delivered

    def _call_exporter(self, batch: list[ReadableSpan]) -> SpanExportResult:
        try:
            return self._exporter.export(batch)
        # gRPC: a header it cannot send, a channel that shutdown closed. When it is built: credentials not to be had.
        except (OSError, ValueError, RuntimeError) as error:
            self._complaints.note_error(error)
            return SpanExportResult.FAILURE

    def _tell(self, spans: int, *, delivered: bool) -> None:
        if delivered:
            self._outcome.delivered()
            self._outcome.refused(self._take_refusals(), self._max_queue_size)
        elif self._given_up:
            self._lose(spans, self._given_up)
        else:
            self._outcome.failed(spans + self._take_refusals(), self._complaints.reason)

    def _lose(self, spans: int, reason: str) -> None:
        """Tell that so many spans and all that are queued are lost, then let go of those who wait for them."""
        flushes: list[_Flush] = []
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, _Flush):
                flushes.append(item)
            else:
                spans += 1
        if spans:
            self._outcome.failed(spans + self._take_refusals(), reason)
        for flush in flushes:
            flush.reached.set()

    def _take_refusals(self) -> int:
        refused, self._refused_noted = self._refused - self._refused_noted, self._refused
        return refused


class _Flush:
    """A mark in the queue: when a worker comes to it, everything that ended before was tried."""

    def __init__(self, losses_told: int) -> None:
        self.reached = threading.Event()
        self.losses = losses_told
        self.delivered = False

    def reach(self, outcome: Outcome) -> None:
        self.delivered = not outcome.failing and outcome.lost == self.losses
        self.losses = outcome.lost
        self.reached.set()


_numbers = count()
_deliveries: weakref.WeakValueDictionary[int, Delivery] = weakref.WeakValueDictionary()


def all_deliveries() -> list[Delivery]:
    """Return those of this process that are alive."""
    return [delivery for reference in _deliveries.valuerefs() if (delivery := reference()) is not None]


def _start_afresh_in_child() -> None:
    for delivery in all_deliveries():
        delivery.start_afresh()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_start_afresh_in_child)
