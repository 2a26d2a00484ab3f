"""Delivery of ended spans in the background: told truthfully, in bounded time, with one log line.

No lock is taken in ``on_end``: a generator that the garbage collector closes may end a span in the middle of anything,
so the queue is a deque and the worker is woken through a ``queue.SimpleQueue``, which are both safe to re-enter.
"""

import os
import queue
import threading
import time
import weakref
from collections import deque
from itertools import count

from opentelemetry.context import Context, attach, set_value
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from runspan._guard import attempt
from runspan.export.complaints import Complaints, listening_to
from runspan.export.outcome import Outcome

# The public name of the key that makes instrumentations of HTTP and gRPC clients stand aside.
_SUPPRESS = "suppress_instrumentation"
# Shares of the time for shutdown: an exporter that already complained gets the first, one that is silent both;
# what is left is for the exporter to break off.
_FIRST_SHARE = 0.5
_SECOND_SHARE = 0.4


class DeliveringSpanProcessor(SpanProcessor):
    """Export sampled spans in batches from one daemon thread; the application never waits for the network.

    Args:
        exporter: Where the spans go. Called by the worker only, except for ``shutdown``, which must not wait.
        destination: Names the receiver in log lines.
        max_queue_size: Spans that wait; a new one finding the queue full is dropped and counted.
        max_batch_size: Spans in one export.
        schedule_delay_seconds: The longest that a span waits for its batch to fill.
        shutdown_timeout_seconds: What ``shutdown`` may take in all unless it is told otherwise.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        destination: str,
        max_queue_size: int = 2048,
        max_batch_size: int = 512,
        schedule_delay_seconds: float = 5.0,
        shutdown_timeout_seconds: float = 4.0,
    ) -> None:
        self._exporter = exporter
        self._destination = destination
        self._max_queue_size = max_queue_size
        self._max_batch_size = min(max_batch_size, max_queue_size)
        self._schedule_delay_seconds = schedule_delay_seconds
        self._shutdown_timeout_seconds = shutdown_timeout_seconds
        self._closed = False
        self._given_up = ""
        self._abandoned = False
        self.start_afresh()
        _processors.add(self)

    def start_afresh(self) -> None:
        """Forget queue and worker; a forked child calls it, for both belong to its parent."""
        self._queue: deque[ReadableSpan | _Flush] = deque()
        self._wake: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._batch_announced = False
        self._worker: threading.Thread | None = None
        self._starting = threading.Lock()
        self._outcome = Outcome(self._destination)
        self._complaints = Complaints()
        self._in_flight = 0
        self._losses_told = 0
        self._refusals = count(1)
        self._refused = self._refused_noted = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  the interface's
        """See to it that the worker runs: from Python 3.12 on no thread starts any more when the last spans end."""
        if self._worker is None and not self._closed:
            self._start_worker()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if span.context is None or not span.context.trace_flags.sampled or self._closed:
            return
        if len(self._queue) >= self._max_queue_size:
            self._refused = next(self._refusals)
            return
        self._queue.append(span)
        if self._worker is None:
            self._start_worker()
        if len(self._queue) >= self._max_batch_size and not self._batch_announced:
            self._batch_announced = True
            self._wake.put(False)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what has ended so far and tell whether all of it arrived.

        False when the time is over first, when spans were lost since the last call that told so, while delivery
        fails, and after ``shutdown``.
        """
        if self._closed:
            return False
        flush = _Flush(self._losses_told)
        if self._queue or self._worker is not None:
            self._queue.append(flush)
            self._start_worker()
            self._wake.put(True)
            flush.reached.wait(timeout_millis / 1000)
        else:
            flush.reach(self._outcome)
        self._losses_told = max(self._losses_told, flush.losses)
        return flush.delivered

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Deliver what is queued if that can be done in time, then stop; a second call does nothing."""
        if self._closed:
            return
        if self._queue:
            self._start_worker()
        self._closed = True
        self._wake.put(True)
        timeout = self._shutdown_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + timeout
        self._wait_for_worker(timeout * _FIRST_SHARE)
        if not self._complaints.heard:
            self._wait_for_worker(timeout * _SECOND_SHARE)
        self._given_up = self._complaints.reason if self._complaints.heard else f"no answer within {timeout:.3g} s"
        attempt(self._exporter.shutdown, default=None)
        self._wait_for_worker(deadline - time.monotonic())
        self._abandon_the_rest()

    def _start_worker(self) -> None:
        # Not a blocking acquire: a span ended by the garbage collector may come here again in the same thread.
        if self._worker is not None or not self._starting.acquire(blocking=False):
            return
        try:
            if self._worker is None:
                worker = threading.Thread(target=self._work, name="runspan-delivery", daemon=True)
                worker.start()
                self._worker = worker
        except RuntimeError:  # no more threads, or Python is exiting: the next span tries again, shutdown tells
            pass
        finally:
            self._starting.release()

    def _work(self) -> None:
        attach(set_value(_SUPPRESS, True))
        while not self._closed:
            self._deliver(everything=self._wait())
        self._deliver(everything=True)

    def _wait(self) -> bool:
        """Return whether all spans are due, or only full batches."""
        try:
            everything = self._wake.get(timeout=self._schedule_delay_seconds)
        except queue.Empty:
            everything = True
        self._batch_announced = False
        return everything

    def _deliver(self, *, everything: bool) -> None:
        while self._queue and (everything or len(self._queue) >= self._max_batch_size) and not self._given_up:
            batch, flush = self._next_batch()
            if batch:
                self._export(batch)
            if flush is not None:
                flush.reach(self._outcome)

    def _next_batch(self) -> "tuple[list[ReadableSpan], _Flush | None]":
        batch: list[ReadableSpan] = []
        while self._queue and len(batch) < self._max_batch_size:
            item = self._queue.popleft()
            if isinstance(item, _Flush):
                return batch, item
            batch.append(item)
        return batch, None

    def _export(self, batch: list[ReadableSpan]) -> None:
        self._in_flight = len(batch)
        self._complaints = Complaints()
        with listening_to(self._complaints):
            result = attempt(self._call_exporter, batch, default=SpanExportResult.FAILURE)
        if self._abandoned:  # shutdown has told what became of this batch
            return
        self._in_flight = 0
        refused = self._take_refusals()
        if result is SpanExportResult.SUCCESS:
            self._outcome.delivered()
            self._outcome.refused(refused, self._max_queue_size)
        else:
            rest = self._drop_queue() if self._given_up else 0
            self._outcome.failed(len(batch) + rest + refused, self._given_up or self._complaints.reason)

    def _call_exporter(self, batch: list[ReadableSpan]) -> SpanExportResult:
        try:
            return self._exporter.export(batch)
        except (OSError, ValueError) as error:  # gRPC: a header it cannot send, a channel that shutdown closed
            self._complaints.note_error(error)
            return SpanExportResult.FAILURE

    def _take_refusals(self) -> int:
        refused, self._refused_noted = self._refused - self._refused_noted, self._refused
        return refused

    def _wait_for_worker(self, seconds: float) -> None:
        if self._worker is not None:
            self._worker.join(max(seconds, 0))

    def _abandon_the_rest(self) -> None:
        self._abandoned = True
        lost = self._drop_queue() + self._in_flight
        if lost:
            reason = self._given_up if self._worker else "no thread could be started to send them"
            self._outcome.failed(lost + self._take_refusals(), reason)

    def _drop_queue(self) -> int:
        dropped = list(self._queue)
        self._queue.clear()
        for item in dropped:
            if isinstance(item, _Flush):
                item.reached.set()
        return sum(not isinstance(item, _Flush) for item in dropped)


class _Flush:
    """A mark in the queue: when the worker comes to it, everything that ended before was tried."""

    def __init__(self, losses_told: int) -> None:
        self.reached = threading.Event()
        self.losses = losses_told
        self.delivered = False

    def reach(self, outcome: Outcome) -> None:
        self.delivered = not outcome.failing and outcome.lost == self.losses
        self.losses = outcome.lost
        self.reached.set()


_processors: weakref.WeakSet[DeliveringSpanProcessor] = weakref.WeakSet()


def _start_afresh_in_child() -> None:
    for processor in _processors:
        processor.start_afresh()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_start_afresh_in_child)
