"""The way of ended spans from a processor's queue to their receiver.

No lock is taken where spans come in: a generator that the garbage collector closes may end a span in the middle of
anything, so the queue is a deque, and a thread is woken by a ``put`` that is safe to re-enter.
"""

import time
import weakref
from collections import deque
from itertools import count
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from runspan._forking import in_forked_child
from runspan._threads import Event, PatientLock
from runspan.export.delivery_log import DeliveryLog
from runspan.export.otlp.client import Client
from runspan.export.otlp.deadline import ending_by
from runspan.export.queue import Mark, SpanQueue, memory_of
from runspan.export.sending import Sending
from runspan.export.spool import Spool, SpoolFolder
from runspan.export.started_markers import is_wanted
from runspan.export.stats import Counters, DropReason, Stats, counters_of
from runspan.export.worker import Worker

MAX_QUEUE_BYTES: Final = 256_000_000
"""About how much memory the spans of a processor may take while they wait; new ones are dropped beyond it."""
_ABANDONED: Final = "it failed for a minute after the processor was thrown away"
_ATTEMPTS_AFTER_ABANDONED_SECONDS: Final = 60.0
# A burst may fill the queue faster than the disk takes it: with a spool it may grow so many times over.
_BURST: Final = 16
# How soon to look again whether another process has delivered what is on disk, if somebody waits for it or nobody.
_LOOK_AGAIN_SECONDS: Final = (0.2, 5.0)
_STEP_SECONDS: Final = 0.01


class Delivery:
    """The spans of one processor on their way, sent in batches by one thread while there are any.

    With a spool a second thread puts spans on disk while the first one waits for the receiver.
    Between the two nothing but the processor refers to it. While spans wait a thread does, so a processor that was
    thrown away still delivers.

    Args:
        client: sends requests.
        destination: names the receiver in log lines and metrics.
        receiver: what tells it apart from others whose name is the same: what is in a spool is sent to no other.
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
        receiver: str | None = None,
    ) -> None:
        self.destination = destination
        self._max_queue_size = max_queue_size
        self._max_batch_size = min(max_batch_size, max_queue_size)
        self._max_batch_bytes = 2 * max_request_bytes
        self._folder = None if spool is None else SpoolFolder(spool, receiver or destination)
        self._write_ahead = spool is not None and spool.durability == "write-ahead"
        # Half: the other half is for the disk.
        self._delay_seconds = spool.interval_seconds / 2 if spool and self._write_ahead else schedule_delay_seconds
        self._sending = Sending(client, self._folder, most_bytes=max_request_bytes)
        self.closed = False
        self.finished = Event()
        self._given_up = ""
        self._abandoned_at: float | None = None
        self.reset_after_fork()
        _deliveries[next(_numbers)] = self

    def reset_after_fork(self) -> None:
        """Forget queue and threads, which belong to the parent process."""
        self._queue = SpanQueue(self._is_wanted)
        self._marks: deque[Mark] = deque()  # everything before them was sent or put aside
        self._storing, self._finishing = PatientLock(), PatientLock()
        self._sender = Worker(self._seconds_until_sending, self._send)
        self._storer = Worker(self._seconds_until_storing, self._store)
        self._taker = self._storer if self._write_ahead else self._sender
        self._due: float | None = None  # when the first span of the queue has waited for long enough
        self._retry_at: float | None = None
        self._is_batch_announced = self._is_urgent = self._is_to_store = self._is_to_look = False
        self._counters = Counters(counters_of(self.destination), owner=self)
        self._log = DeliveryLog(self.destination, self._counters, meanwhile=self._meanwhile())
        self._sending.reset_after_fork(self._log)
        self._losses_told = self._overflow_told = 0

    def look_at_spool(self) -> None:
        """Have what an earlier process left on disk sent."""
        if self._folder is not None:
            self._is_to_look = True
            self._sender.ensure_running()

    def abandon(self) -> None:
        """Note that nobody refers to the processor any more; safe in a finalizer."""
        self._abandoned_at = time.monotonic()
        if self._queue and not self._taker.ensure_running():
            _stranded.append(self)

    def stats(self) -> Stats:
        """Return what became of the spans so far."""
        return self._counters.stats()

    def add(self, span: ReadableSpan) -> None:
        """Queue a span and see to it that a thread comes in time."""
        self._counters.take()
        if self.closed:
            self._counters.refuse(DropReason.SHUTDOWN)
            return
        size = memory_of(span)
        room = self._max_queue_size * (_BURST if self._folder else 1)
        if (
            self._queue.spans + self._sending.held_spans >= room
            or self._queue.bytes + self._sending.waiting_bytes + size > MAX_QUEUE_BYTES
        ):
            self._counters.refuse(DropReason.QUEUE_FULL)
            return
        self._queue.put(span, size)
        self._wake()

    def flush(self, seconds: float) -> bool:
        """Deliver what is queued and tell whether all arrived, and nothing was lost since the last call."""
        if self.closed:
            return False
        mark = Mark()
        if self._is_pending():
            self._queue.put_mark(mark)
            if not self.flush_soon():
                self.work_here(time.monotonic() + seconds)
                seconds = 0
            mark.reached.wait(seconds)
        else:
            self._reach(mark)
        delivered = mark.delivered and mark.lost == self._losses_told
        self._losses_told = max(self._losses_told, mark.lost)
        return delivered

    def flush_soon(self) -> bool:
        """Have what waits sent now, also while the receiver fails; takes no lock and does not wait.

        False if that needs a thread and none starts any more.
        """
        self._is_urgent = self._is_to_store = True
        for worker in (self._taker, self._sender):
            worker.ring()
        return self._taker.ensure_running() and self._sender.ensure_running()

    def work_here(self, until: float) -> None:
        """Deliver in this thread, where no other one starts; one that still runs is waited for, and followed up."""
        with ending_by(until):
            while True:
                self._storer.run_here(until)
                self._sender.run_here(until)
                others = self._storer.is_running or self._sender.is_running
                if not others or not self._is_pending() or time.monotonic() >= until:
                    return
                self.finished.wait(_STEP_SECONDS)

    def begin_closing(self) -> bool:
        """Take no more spans and ask for the last step, ``finished`` tells when it is over; False if closed before."""
        if self.closed:
            return False
        self.closed = self._log.is_closing = True
        if not self._is_pending():
            self.finished.set()
        return True

    def has_delivered_all(self) -> bool:
        """Tell whether nothing waits, not even on disk, and nothing was lost that no flush has told."""
        return not self._is_pending() and not self._log.failing and self._log.lost == self._losses_told

    @property
    def is_hopeless(self) -> bool:
        """Whether the receiver fails, as far as one knows; one that is silent may still answer."""
        return self._log.failing and not self._sending.awaits_answer

    def abort(self, seconds: float) -> None:
        """Give up after this time: nothing is sent any more, what the client sends is broken off."""
        if not self._given_up:
            silence = "no answer" if self._sending.awaits_answer else "not sent"
            self._given_up = self._sending.trouble or f"{silence} within {seconds:.3g} s"
            self._sending.abort()
            self._sender.ring()
            self._sender.ensure_running()

    def finish(self, reason: str = "") -> None:
        """Put what is left on disk or tell that it is lost, and let go of who waits; nothing has an effect after it."""
        with self._finishing:
            if not self.finished.is_set():
                self._sending.end()
                self._lose_or_store(reason or self._given_up)
                self.finished.set()

    def _is_wanted(self, span: ReadableSpan) -> bool:
        if is_wanted(span):
            return True
        self._counters.drop(1, DropReason.RUN_ENDED)
        return False

    def waiting(self) -> int:
        """Return how many spans are neither delivered, spooled nor lost yet."""
        return self._queue.spans + self._sending.waiting

    # When the threads work.

    def _wake(self) -> None:
        taker = self._taker
        if self._due is None:
            self._due = time.monotonic() + self._delay_seconds
            taker.ring()
        elif (len(self._queue) >= self._max_batch_size and not self._is_batch_announced) or is_ending():
            self._is_batch_announced = True
            taker.ring()
        if not taker.is_running:
            taker.ensure_running()
        if self._folder and len(self._queue) >= self._max_queue_size and not self._storer.is_running:
            self._storer.ensure_running()

    def _seconds_until_storing(self) -> float | None:
        if not self._queue or self._folder is None or self.finished.is_set():
            return None
        if self._write_ahead:
            return 0 if self._is_to_store else self._seconds_until_queue_is_due()
        return 0 if len(self._queue) >= self._max_queue_size else None

    def _seconds_until_sending(self) -> float | None:
        if self.finished.is_set():
            return None
        if self._given_up or self._is_urgent or self._is_to_look:
            return 0
        now = time.monotonic()
        waits = [] if self._retry_at is None else [max(self._retry_at - now, 0)]
        if self._queue and not self._write_ahead:
            until_retry = 0 if self._folder or self._given_up else max(self._sending.backoff.until - now, 0)
            waits.append(max(self._seconds_until_queue_is_due(), until_retry))
        return min(waits, default=None)

    def _seconds_until_queue_is_due(self) -> float:
        if len(self._queue) >= self._max_batch_size or is_ending():
            return 0
        if self._due is None:  # set by the next line of another thread, or reset just now
            self._due = time.monotonic() + self._delay_seconds
        return max(self._due - time.monotonic(), 0)

    # What they do.

    def _store(self) -> None:
        """Put what is queued on disk, then have it sent."""
        self._is_to_store = False
        self._put_queue_aside()
        self._is_to_look = True
        self._sender.ring()
        self._sender.ensure_running()

    def _send(self) -> None:
        """Send what is due, then see what that has led to."""
        is_urgent, self._is_urgent, self._is_to_look = self._is_urgent, False, False
        if is_urgent:
            self._sending.backoff.lift()
        everything = is_urgent or self.closed or self._seconds_until_queue_is_due() == 0
        if not self._given_up:
            if self._sending.failed_with_held:  # which may be what the receiver will never take: others first
                self._send_queue(everything=everything)
            self._sending.resume()
            self._send_queue(everything=everything)
            if self._folder and not self._sending.backoff.is_over():
                self._put_queue_aside()
        self._settle()

    def _send_queue(self, *, everything: bool) -> None:
        if self._write_ahead:
            return  # it goes by the disk
        if everything:
            self._due = None  # before the queue is read: a span that comes now sets it again
        left = len(self._queue) if everything else 0
        while self._may_send() and self._queue and (left > 0 or len(self._queue) >= self._max_batch_size):
            self._is_batch_announced = False
            before = len(self._queue)
            spans, mark = self._queue.batch(self._max_batch_size, self._max_batch_bytes)
            left -= before - len(self._queue)
            if spans:
                self._sending.send_spans(spans)
            if mark is not None:
                self._marks.append(mark)

    def _may_send(self) -> bool:
        return not self._given_up and self._sending.may_send()

    def _put_queue_aside(self) -> None:
        with self._storing:
            self._due = None
            self._is_batch_announced = False
            while self._queue:
                spans, mark = self._queue.batch(self._max_batch_size, self._max_batch_bytes)
                if spans:
                    self._sending.put_aside(spans)
                if mark is not None:
                    self._marks.append(mark)

    def _settle(self) -> None:
        """See what a step has led to: who waits is told, and what is left is tried again or given up."""
        self._tell_overflow()
        marks = len(self._marks)  # those before the next line: another thread may be about to put aside more
        if self._is_own_gone():
            for _ in range(marks):
                self._reach(self._marks.popleft())
        self._retry_at = self._next_attempt()
        if self._given_up or (self.closed and self._is_done()):
            self.finish(self._given_up or self._sending.trouble)
        elif self._is_abandoned_for_long():
            self._lose_or_store(_ABANDONED)
            self._retry_at = None

    def _next_attempt(self) -> float | None:
        if self._sending.is_empty() or (self._abandoned_at is not None and self._sending.is_own_gone()):
            return None
        soon, later = _LOOK_AGAIN_SECONDS
        return self._sending.backoff.until or time.monotonic() + (soon if self._marks or self.closed else later)

    def _is_done(self) -> bool:
        if self._folder and not self._may_send():
            return True  # what is left waits on disk
        return not self._queue and self._is_own_gone()

    def _is_own_gone(self) -> bool:
        # In this order: what was taken out of the queue is in the backlog when the lock is free.
        return not self._storing.locked() and self._sending.is_own_gone()

    def _is_abandoned_for_long(self) -> bool:
        since = self._abandoned_at
        return (
            since is not None and not self._may_send() and time.monotonic() > since + _ATTEMPTS_AFTER_ABANDONED_SECONDS
        )

    def _lose_or_store(self, reason: str) -> None:
        self._put_queue_aside()
        self._sending.give_up(reason)
        self._tell_overflow()
        while self._marks:
            self._marks.popleft().reach(delivered=False, lost=self._log.lost)

    def _is_pending(self) -> bool:
        return bool(self._queue) or self._is_to_look or self._sender.is_stepping or not self._is_own_gone()

    def _reach(self, mark: Mark) -> None:
        mark.reach(delivered=not self._log.failing, lost=self._log.lost)

    def _tell_overflow(self) -> None:
        overflowed = self._counters.overflowed
        self._log.overflowed(overflowed - self._overflow_told, self._max_queue_size)
        self._overflow_told = overflowed

    def _meanwhile(self) -> str:
        if self._folder is not None:
            return f"they wait in {self._folder.path}"
        return f"up to {self._max_queue_size:,} spans wait, further ones are dropped"


_numbers = count()
_deliveries: "weakref.WeakValueDictionary[int, Delivery]" = weakref.WeakValueDictionary()
_stranded: list[Delivery] = []  # with spans, but neither a thread nor a processor


def all_deliveries() -> list[Delivery]:
    """Return those of this process that are alive."""
    return [delivery for reference in _deliveries.valuerefs() if (delivery := reference()) is not None]


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
        delivery.flush_soon()


def live_on() -> None:
    """Let spans wait for their batch again."""
    _Ending.has_begun = False


@in_forked_child
def _reset_after_fork() -> None:
    _Ending.has_begun = False
    _stranded.clear()
    for delivery in all_deliveries():
        delivery.reset_after_fork()
