"""The way of ended spans from a processor's queue to their receiver."""

import time
import weakref
from collections.abc import Callable, Sequence
from itertools import count
from math import inf
from typing import ClassVar, Final

from opentelemetry.sdk.trace import ReadableSpan

from runspan._forking import in_forked_child
from runspan._span_memory import memory_of
from runspan._threads import Event, PatientLock
from runspan._worker import Worker
from runspan.export.delivery_log import DeliveryLog
from runspan.export.otlp.client import Client
from runspan.export.otlp.target import ending_by
from runspan.export.queue import Mark, SpanQueue
from runspan.export.sending import Sending
from runspan.export.spool import SpoolFolder
from runspan.export.started_markers import is_wanted
from runspan.export.stats import DropReason, Stats

MAX_REQUEST_BYTES: Final = 4_000_000
"""Below the 4 MiB that a gRPC server takes by default."""
MAX_QUEUE_BYTES: Final = 256_000_000
"""About how much memory the spans of a processor may take while they wait; new ones are dropped beyond it."""
_ATTEMPTS_AFTER_ABANDONED_SECONDS: Final = 60.0
# A burst may fill the queue faster than the disk takes it: with a spool it may grow so many times over.
_BURST: Final = 16
# How soon to look again whether another process has delivered what is on disk, if somebody waits for it or nobody.
_LOOK_AGAIN_SECONDS: Final = (0.2, 5.0)
_STEP_SECONDS: Final = 0.01


class Delivery:
    """The spans of one processor on their way, sent in batches by one thread while there are any.

    With a spool a second thread puts spans on disk while the first one waits for the receiver. Either thread makes a
    step when it was woken for one, which does all that is to be done, and returns when it has to be done again.
    Between the two nothing but the processor refers to it. While spans wait a thread does, so what a processor
    that nobody refers to any more has taken is still delivered.

    Args:
        make_client: makes what sends, when there is something to send; also in a forked child.
        destination: names the receiver in log lines and metrics.
        schedule_delay_seconds: the longest that a span waits for its batch to fill.
        folder: where spans wait that can't be sent.
    """

    is_ending: ClassVar[bool] = False
    """Whether the process is about to end, so that no span may wait for a batch to fill."""

    def __init__(
        self,
        make_client: Callable[[], Client],
        destination: str,
        *,
        max_queue_size: int = 2048,
        max_batch_size: int = 512,
        schedule_delay_seconds: float = 5.0,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        folder: SpoolFolder | None = None,
    ) -> None:
        self.destination = destination
        self._max_queue_size = max_queue_size
        self._max_batch_size = min(max_batch_size, max_queue_size)
        self._max_request_bytes = max_request_bytes
        self._delay_seconds = schedule_delay_seconds
        self._folder = folder
        self._write_ahead = folder is not None and folder.spool.durability == "write-ahead"
        if folder is not None and self._write_ahead:
            self._delay_seconds = folder.spool.interval_seconds / 2  # the other half is for the disk
        self._make_client = make_client
        self.closed = False
        self.finished = Event()
        self._failing_until = inf  # then it is given up if it fails
        self.reset_after_fork()
        _deliveries[next(_numbers)] = self
        if self._folder is not None:  # what an earlier process left there is to be sent
            self._sender.wake()

    def reset_after_fork(self) -> None:
        """Forget queue and threads, which belong to the parent process."""
        self._queue = SpanQueue()
        self._marks: list[Mark] = []
        self._storing = PatientLock()
        self._sender, self._storer = Worker(self._send), Worker(self._store)
        self._taker = self._storer if self._write_ahead else self._sender
        self._is_urgent = False
        room = f"{self._max_queue_size:,} spans, {MAX_QUEUE_BYTES // 1_000_000} MB at most"
        where = f"up to {self._max_queue_size:,} spans wait, further ones are dropped"
        if self._folder is not None:
            where = f"they wait in {self._folder.path}"
        self._log = DeliveryLog(self.destination, self, meanwhile=where, room=room)
        if self._folder is not None:
            self._folder.reset_after_fork(self._log)
        self._sending = Sending(self._make_client, self._folder, self._log, most_bytes=self._max_request_bytes)
        self._losses_reported = 0

    # What the processor calls, in any thread.

    def check(self) -> None:
        """Make the client, so that a mistake in the environment is a ``ValueError`` here."""
        self._sending.client()

    def abandon(self) -> None:
        """Note that nobody refers to the processor any more; safe in a finalizer."""
        self._failing_until = min(self._failing_until, time.monotonic() + _ATTEMPTS_AFTER_ABANDONED_SECONDS)
        if self._queue and not self._taker.wake(time.monotonic() + self._delay_seconds):
            _stranded.append(self)

    def stats(self) -> Stats:
        """Return what became of the spans so far."""
        return self._log.stats()

    def waiting(self) -> int:
        """Return how many spans are neither delivered, spooled nor lost yet."""
        return len(self._queue) + self._sending.waiting

    def add(self, span: ReadableSpan) -> None:
        """Queue a span and see to it that a thread comes in time."""
        self._log.count("taken")
        if self.closed:
            self._log.count(DropReason.SHUTDOWN)
            return
        size = memory_of(span)
        if (
            self.waiting() - self._sending.in_flight >= self._max_queue_size * (_BURST if self._folder else 1)
            or self._queue.bytes + self._sending.waiting_bytes + size > MAX_QUEUE_BYTES
        ):
            self._log.count(DropReason.QUEUE_FULL)
            return
        self._queue.put(span, size)
        is_due = len(self._queue) >= self._max_batch_size or self.is_ending
        at = 0.0 if is_due else time.monotonic() + self._delay_seconds
        self._taker.wake(at if self._folder else max(at, self._sending.backoff.until))
        if self._folder and len(self._queue) >= self._max_queue_size:
            self._storer.wake()

    def flush(self, seconds: float) -> bool:
        """Deliver what is queued; return whether all arrived, and nothing was lost since the last call."""
        if self.closed:
            return False
        mark = Mark()
        self._marks.append(mark)
        try:
            if not self._is_pending():
                mark.reach(works=not self._log.failing)
            elif not self.flush_soon():
                self.work_here(time.monotonic() + seconds, mark.reached)
                seconds = 0
            if not mark.reached.wait(seconds):
                return False
        finally:  # also of a wait that is broken off
            self._marks.remove(mark)
        lost, reported = self._log.lost, self._losses_reported
        self._losses_reported = lost
        return mark.works and lost == reported

    def flush_soon(self) -> bool:
        """Have what waits sent now, also while the receiver fails; takes no lock and does not wait.

        False if that needs a thread and none starts any more.
        """
        self._is_urgent = True
        return self._taker.wake() and self._sender.wake()

    def work_here(self, until: float, over: Event) -> None:
        """Deliver in this thread, where no other one starts; one that still runs is waited for, and followed up."""
        workers = (self._storer, self._sender)
        with ending_by(until):
            while not over.is_set() and time.monotonic() < until:
                for worker in workers:
                    worker.work_here(until)
                if not any(worker.has_work(until) for worker in workers):
                    return
                over.wait(_STEP_SECONDS)

    # The end.

    def begin_closing(self, failing_until: float) -> bool:
        """Take no more spans; what comes before ``finished`` is set is the last step. False if closed before."""
        if self.closed:
            return False
        self.closed = self._log.is_closing = True
        self._failing_until = failing_until
        if not self._is_pending():
            self.finished.set()
        return True

    def has_delivered_all(self) -> bool:
        """Return whether nothing waits, not even on disk, and nothing was lost that no flush has reported."""
        is_gone = not self._queue and self._is_own_gone()
        return is_gone and not self._log.failing and self._log.lost == self._losses_reported

    def end(self, seconds: float) -> None:
        """Give up what was not delivered in this time; what the client sends is broken off."""
        silence = "no answer" if self._sending.in_flight else "not sent"
        self._finish(f"{silence} within {seconds:.3g} s")
        self._sending.close()

    def _finish(self, reason: str = "") -> None:
        """Put what is left on disk or count it as lost, and let go of who waits; nothing has an effect after it."""
        with self._storing:
            if self.finished.is_set():
                return
            lost: list[ReadableSpan] = []  # as they are: to encode many takes longer than there is time
            self._empty_queue(self._sending.put_aside if self._folder else lost.extend)
            self._sending.give_up(self._sending.trouble or reason, len(lost))
            self._log.note_overflow()
            for mark in [*self._marks]:
                mark.reach(works=False)
            self.finished.set()

    # The steps of the threads.

    def _store(self) -> float:
        """Put what is queued on disk, then have it sent."""
        if not self.finished.is_set():
            self._put_queue_aside()
            if not self._sender.wake():  # none starts any more, and who ends the process may count on one that is gone
                self._sender.work_here(inf)
        return inf

    def _send(self) -> float:
        """Send what waits; return when to do it again."""
        if self.finished.is_set():
            return inf
        is_urgent, self._is_urgent = self._is_urgent, False
        if is_urgent:
            self._sending.backoff.lift()
        if self._sending.may_send() and not self._write_ahead:
            self._empty_queue(self._sending.take)
        self._sending.send()
        if self._folder and not self._sending.may_send():
            self._put_queue_aside()
        self._log.note_overflow()
        self._reach_marks()
        if self._is_done():
            self._finish()
            return inf
        return self._next_attempt()

    def _put_queue_aside(self) -> None:
        with self._storing:
            self._empty_queue(self._sending.put_aside)

    def _empty_queue(self, keep: Callable[[Sequence[ReadableSpan]], None]) -> None:
        marks, left = [*self._marks], len(self._queue)  # what comes meanwhile asks for a step of its own
        while left > 0 and (spans := self._queue.batch(self._max_batch_size, 2 * self._max_request_bytes)):
            wanted = [span for span in spans if is_wanted(span)]
            self._log.count(DropReason.RUN_ENDED, len(spans) - len(wanted))
            if wanted:
                keep(wanted)
            left -= len(spans)
        for mark in marks:
            mark.is_due = True

    def _next_attempt(self) -> float:
        if self._sending.is_empty() or (self._failing_until < inf and self._sending.is_own_gone()):
            return inf
        if not self._sending.backoff.is_over():
            return min(self._sending.backoff.until, self._failing_until)
        soon, later = _LOOK_AGAIN_SECONDS
        return time.monotonic() + (soon if self._marks or self.closed else later)

    # What is left.

    def _is_pending(self) -> bool:
        return bool(self._queue) or self._sender.has_work() or self._storer.has_work() or not self._is_own_gone()

    def _is_own_gone(self) -> bool:
        # In this order: what was taken out of the queue is in the backlog when the lock is free.
        return not self._storing.locked() and self._sending.is_own_gone()

    def _is_done(self) -> bool:
        if self._sending.may_send():
            return self.closed and not self._queue and self._is_own_gone()
        is_left_on_disk = self.closed and self._folder is not None
        return is_left_on_disk or self.finished.is_set() or time.monotonic() > self._failing_until

    def _reach_marks(self) -> None:
        # In this order, for another thread may be about to put more aside.
        due = [mark for mark in [*self._marks] if mark.is_due]
        if self._is_own_gone():
            for mark in due:
                mark.reach(works=not self._log.failing)


_numbers = count()
_deliveries: "weakref.WeakValueDictionary[int, Delivery]" = weakref.WeakValueDictionary()
_inherited: list[Client | None] = []  # of parent processes: to destroy them here is not safe
_stranded: list[Delivery] = []  # with spans, but neither a thread nor a processor


def all_deliveries() -> list[Delivery]:
    """Return those of this process that are alive."""
    return [delivery for reference in _deliveries.valuerefs() if (delivery := reference()) is not None]


@in_forked_child
def _reset_after_fork() -> None:
    Delivery.is_ending = False
    _stranded.clear()
    for delivery in all_deliveries():
        _inherited.append(delivery._sending.made)  # noqa: SLF001  of this module
        delivery.reset_after_fork()
