"""The way of ended spans from a processor's queue to their receiver.

No lock is taken where spans come in: a generator that the garbage collector closes may end a span in the middle of
anything, so the queue is a deque, and a worker is asked for by a ``put`` that is safe to re-enter.
"""

import time
from collections import deque

from opentelemetry.sdk.trace import ReadableSpan

from runspan._threads import Event, Lock, PatientLock
from runspan.export import alive
from runspan.export.backlog import Backlog
from runspan.export.counts import Counts, Stats, Why, by_destination, label_of
from runspan.export.lanes import LONGEST_WAIT_SECONDS, Turn
from runspan.export.otlp.client import Client
from runspan.export.outcome import Outcome
from runspan.export.queueing import Mark, SpanQueue
from runspan.export.sending import Sending
from runspan.export.spool.files import Spool, SpoolFile
from runspan.export.started import is_wanted
from runspan.export.workers import workers

_LATE = f"it failed before, and no worker was free for another try within {LONGEST_WAIT_SECONDS:.3g} s"
_THROWN_AWAY = "it failed for a minute after the processor was thrown away"
_TRIES_AFTER_THROWN_AWAY_SECONDS = 60.0
# A burst may fill the queue faster than the disk takes it: with a spool it may grow so many times over.
_BURST = 16
# How soon to look again whether another process has delivered what this one put on disk.
_LOOK_AGAIN_SECONDS = 0.2


class Delivery:
    """The spans of one processor on their way; one worker at a time sends them in batches.

    Between two turns of a worker nothing but the processor refers to it. While spans wait the workers do, so a
    processor that was thrown away still delivers.
    """

    def __init__(
        self,
        client: Client,
        destination: str,
        *,
        max_queue_size: int,
        max_batch_size: int,
        schedule_delay_seconds: float,
        max_request_bytes: int,
        spool: Spool | None = None,
    ) -> None:
        self.destination = destination
        self._max_queue_size = max_queue_size
        self._max_batch_size = min(max_batch_size, max_queue_size)
        self._spool = spool
        self._write_ahead = spool is not None and spool.durability == "write-ahead"
        # Half: the other half is for a worker to come, and for the disk.
        self._delay_seconds = spool.interval / 2 if spool and self._write_ahead else schedule_delay_seconds
        backlog = Backlog(None if spool is None else SpoolFile(spool, destination))
        self._sending = Sending(client, backlog, most_bytes=max_request_bytes)
        self.closed = False
        self.finished = Event()
        self._given_up = ""
        self._orphan_since: float | None = None
        self.start_afresh()
        alive.note(self)

    def start_afresh(self) -> None:
        """Forget queue and outcome; a forked child calls it, for both belong to its parent."""
        self._queue = SpanQueue(self._is_wanted)
        self._is_to_look = False
        self._marks: deque[Mark] = deque()  # everything before them was sent or put aside
        self._alarm: Turn | None = None
        self._retry: Turn | None = None
        self._batch_announced = self._burst_announced = self._is_urgent = False
        self._asked: deque[bool] = deque()
        self._delivering, self._storing, self._finishing = Lock(), PatientLock(), PatientLock()
        self._counts = Counts(by_destination[label_of(self.destination)])
        self._outcome = Outcome(self.destination, self._counts, refuge=self._refuge())
        self._sending.start_afresh(self._outcome)
        self._losses_told = self._overflow_told = 0

    def expect(self) -> None:
        """Have a worker started for each delivery there is, so that one that hangs doesn't hold up the others."""
        if not self.closed:
            workers.ensure_started(alive.number_of_deliveries())

    def look_at_spool(self) -> None:
        """Have what an earlier process left on disk sent."""
        if self._spool is not None:
            self._is_to_look = True  # until then a flush waits, so that it is not over before a worker has begun
            self._ask_to_deliver()
            workers.ensure_started()

    def orphan(self) -> None:
        """Note that nobody refers to the processor any more; safe in a finalizer."""
        self._orphan_since = time.monotonic()

    def stats(self) -> Stats:
        """Return what became of the spans so far."""
        return self._counts.stats(waiting=self._queue.spans + self._sending.waiting)

    def add(self, span: ReadableSpan) -> None:
        """Queue a span and see to it that a worker comes in time."""
        self._counts.take()
        room = self._max_queue_size * (_BURST if self._spool else 1)
        if self.closed:
            self._counts.refuse(Why.SHUTDOWN)
        elif self._queue.spans + self._sending.backlog.held_spans >= room:
            self._counts.refuse(Why.QUEUE_FULL)
        else:
            self._queue.put(span)
            self._see_to_it()

    def flush(self, seconds: float) -> bool:
        """Deliver what is queued and tell whether all arrived, and nothing was lost since the last call."""
        if self.closed:
            return False
        mark = Mark()
        if self._is_pending():
            self._queue.put_mark(mark)
            self.hurry()
            if workers.ensure_started():
                mark.reached.wait(seconds)
        else:
            self._reach(mark)
        delivered = mark.delivered and mark.lost == self._losses_told
        self._losses_told = max(self._losses_told, mark.lost)
        return delivered

    def hurry(self) -> None:
        """Have what waits sent now, also while the receiver fails; takes no lock and does not wait."""
        self._is_urgent = True
        self._ask_first_stop()

    def begin_closing(self) -> bool:
        """Take no more spans and ask for the last turn, ``finished`` tells when it is over; False if closed before."""
        if self.closed:
            return False
        self.closed = self._outcome.is_closing = True
        if not self._is_pending():
            self.finished.set()
        elif workers.ensure_started():
            self.hurry()
        else:
            self._finish("no thread could be started to send them")
        return True

    def has_delivered_all(self) -> bool:
        """Tell whether nothing waits, not even on disk, and nothing was lost that no flush has told."""
        return not self._is_pending() and not self._outcome.failing and self._outcome.lost == self._losses_told

    @property
    def complains(self) -> bool:
        """Whether the receiver fails, as far as one knows; one that is silent may still answer."""
        return self._outcome.failing and not self._sending.awaits_answer

    def break_off(self, seconds: float) -> None:
        """Give up after this time: nothing is sent any more, what the client sends is broken off."""
        if not self._given_up:
            silence = "no answer" if self._sending.awaits_answer else "no worker was free"
            self._given_up = self._sending.trouble or f"{silence} within {seconds:.3g} s"
            self._sending.break_off()
            self._ask_to_deliver()  # to find that it is over

    def abandon(self) -> None:
        """Tell what is lost; what a worker finds out from now on has no effect."""
        self._finish(self._given_up)

    def _is_wanted(self, span: ReadableSpan) -> bool:
        if is_wanted(span):
            return True
        self._counts.drop(1, Why.RUN_ENDED)
        return False

    # Asking for turns.

    def _see_to_it(self) -> None:
        if alive.is_ending():
            self._ask_first_stop()
        elif self._alarm is None or not self._alarm.renew(self._first_stop):
            self._alarm = self._ask_first_stop(due=time.monotonic() + self._delay_seconds)
        if len(self._queue) >= self._max_batch_size and not self._batch_announced:
            self._batch_announced = True
            self._ask_first_stop(full_batches=True)
        if self._spool and len(self._queue) >= self._max_queue_size and not self._burst_announced:
            self._burst_announced = True
            workers.ask(self._store)
        workers.ensure_started()

    def _first_stop(self, late: bool) -> bool | None:
        return self._store(late) if self._write_ahead else self._deliver_all(late)

    def _full_batches(self, late: bool) -> bool | None:
        return self._store(late) if self._write_ahead else self._take_turn(everything=False, late=late)

    def _ask_first_stop(self, *, due: float | None = None, full_batches: bool = False) -> Turn:
        # The disk needs no place in a lane of receivers.
        destination = None if self._write_ahead else self.destination
        take = self._full_batches if full_batches else self._first_stop
        return workers.ask(take, due=due, destination=destination)

    def _ask_to_deliver(self, due: float | None = None) -> Turn:
        return workers.ask(self._deliver_all, due=due, destination=self.destination)

    # Turns.

    def _store(self, _: bool) -> bool | None:
        """Put what is queued aside, on disk if there is one, then have it sent."""
        self._put_queue_aside()
        self._ask_to_deliver()
        return None  # no receiver was asked

    def _deliver_all(self, late: bool) -> bool | None:
        return self._take_turn(everything=True, late=late)

    def _take_turn(self, *, everything: bool, late: bool) -> bool | None:
        """Deliver and tell whether the receiver answered, None if it was not asked.

        While another worker delivers this one has nothing to do: the other looks again before it leaves.
        """
        self._asked.append(everything)
        answered = None
        while self._asked and self._delivering.acquire(blocking=False):
            try:
                self._sending.answered = None
                self._deliver(everything=self._is_everything_asked(), late=late)
                self._settle()
                answered = answered if self._sending.answered is None else self._sending.answered
            finally:
                self._delivering.release()
        return answered

    def _is_everything_asked(self) -> bool:
        everything = False
        while self._asked:
            everything |= self._asked.popleft()
        return everything

    def _deliver(self, *, everything: bool, late: bool) -> None:
        if self._given_up:
            return
        if late:
            self._lose_or_store(_LATE)
        if self._is_urgent:
            self._is_urgent = False
            self._sending.backoff.lift()
        if self._may_send():
            self._batch_announced = False
        if self._sending.failed_with_backlog:  # which may be what the receiver will never take: others first
            self._send_queue(everything=everything)
        self._sending.resume()
        self._send_queue(everything=everything)
        if self._spool and not self._sending.backoff.is_over():
            self._put_queue_aside()

    def _send_queue(self, *, everything: bool) -> None:
        if self._write_ahead:
            return  # it goes by the disk
        if everything and self._alarm is not None:
            self._alarm.cancel()  # before the queue is read: a span that comes now sets it again
        left = len(self._queue) if everything else 0
        while self._may_send() and self._queue and (left > 0 or len(self._queue) >= self._max_batch_size):
            spans, mark = self._queue.batch(self._max_batch_size)
            left -= len(spans) + (mark is not None)
            if spans:
                self._sending.carry(spans)
            if mark is not None:
                self._marks.append(mark)

    def _may_send(self) -> bool:
        return not self._given_up and self._sending.backoff.is_over()

    def _put_queue_aside(self) -> None:
        with self._storing:
            if self._alarm is not None:
                self._alarm.cancel()
            self._batch_announced = self._burst_announced = False
            while self._queue:
                spans, mark = self._queue.batch(self._max_batch_size)
                if spans:
                    self._sending.put_aside(spans)
                if mark is not None:
                    self._marks.append(mark)

    def _settle(self) -> None:
        """See what this turn has led to: who waits is told, and what is left gets another turn or is given up."""
        self._is_to_look = False
        self._tell_overflow()
        if self._sending.backlog.is_own_gone():
            self._reach_marks()
        if self._given_up or (self.closed and self._is_done()):
            self._finish(self._given_up or self._sending.trouble)
        elif self._is_forlorn():
            self._lose_or_store(_THROWN_AWAY)
        elif not self._sending.backlog.is_empty() or (self._queue and not self._may_send()):
            self._try_again()

    def _is_done(self) -> bool:
        if self._spool and not self._may_send():
            return True  # what is left waits on disk
        return self._sending.backlog.is_own_gone() and not self._queue

    def _is_forlorn(self) -> bool:
        since = self._orphan_since
        return (
            since is not None and not self._may_send() and time.monotonic() > since + _TRIES_AFTER_THROWN_AWAY_SECONDS
        )

    def _try_again(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        soon = time.monotonic() + (_LOOK_AGAIN_SECONDS if self._marks else self._delay_seconds)
        self._retry = self._ask_to_deliver(due=self._sending.backoff.until or soon)

    # Ends.

    def _finish(self, reason: str) -> None:
        """Put what is left on disk or tell that it is lost, and let go of who waits."""
        with self._finishing:
            if not self.finished.is_set():
                self._sending.end()
                self._lose_or_store(reason)
                self.finished.set()

    def _lose_or_store(self, reason: str) -> None:
        self._put_queue_aside()
        self._sending.give_up(reason)
        self._tell_overflow()
        while self._marks:
            self._marks.popleft().reach(delivered=False, lost=self._outcome.lost)

    def _is_pending(self) -> bool:
        is_busy = self._is_to_look or self._delivering.locked() or self._storing.locked()
        return bool(self._queue) or is_busy or not self._sending.backlog.is_own_gone()

    def _reach_marks(self) -> None:
        while self._marks:
            self._reach(self._marks.popleft())

    def _reach(self, mark: Mark) -> None:
        mark.reach(delivered=not self._outcome.failing, lost=self._outcome.lost)

    def _tell_overflow(self) -> None:
        refused = self._counts.refused
        self._outcome.overflowed(refused - self._overflow_told, self._max_queue_size)
        self._overflow_told = refused

    def _refuge(self) -> str:
        if self._spool is not None:
            return f"they wait in {self._spool.path}"
        return f"up to {self._max_queue_size:,} spans wait, further ones are dropped"
