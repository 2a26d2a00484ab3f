"""Whole traces that are worth keeping, chosen when they end: for those who have no Collector that samples tails."""

from collections import deque
from typing import Final
from weakref import WeakSet

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import SpanContext, StatusCode

from runspan._forking import in_forked_child
from runspan._span_memory import memory_of
from runspan.arguments import check_bool, check_number
from runspan.processors.wrapper import DelegatingSpanProcessor

_TRACE_BYTES: Final = 1_000  # what a trace takes of which no span has ended
_REMEMBERED_TRACES: Final = 10_000
# Where there is no room for more, so much of it is to be in use afterwards: to look for the oldest takes time.
_FULL: Final = 0.75


class KeepingSpanProcessor(DelegatingSpanProcessor):
    """Pass on whole traces that have an error or are slow, and a share of the others.

    The spans of a trace wait in memory until one of them decides that it is kept; from then on they are passed on at
    once. When no span of the trace is open in this process, and none has decided so, they are left out. Where more
    waits than ``max_bytes``, the traces that wait longest are passed on undecided; so are those that are open at the
    shutdown. What starts in a trace that was left out is judged by itself.

    The inner processor's ``on_start`` hears every span. ``OneCallSpanProcessor`` and ``AiOnlySpanProcessor`` belong
    around this one, not within. Metrics and events count all runs, whether their traces are kept or not.

    Args:
        processor: hears the spans of the traces that are kept.
        errors: whether a trace is kept in which a span ended with the status ERROR, even if all went well in the end.
        slower_than: how many seconds after its first start a trace is kept; None keeps none for being slow.
        share: the share of all traces that is kept in any case, from 0 to 1. Trace ids decide, as with OpenTelemetry's
            ``TraceIdRatioBased``, so that services with the same share keep the same traces.
        max_bytes: roughly how much memory spans may take while they wait.

    Raises:
        TypeError: if an argument is of another type; it names the argument and the value.
        ValueError: if a number is out of its range.

    Example:
        ``provider.add_span_processor(KeepingSpanProcessor(OtlpSpanProcessor(), slower_than=10, share=0.05))``
    """

    def __init__(
        self,
        processor: SpanProcessor,
        *,
        errors: bool = True,
        slower_than: float | None = None,
        share: float = 0.0,
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        super().__init__(processor)
        check_bool("errors", errors)
        check_number("share", share, least=0, most=1)
        check_number("max_bytes", max_bytes, least=1)
        if slower_than is not None:
            check_number("slower_than", slower_than, least=0)
        self._errors = errors
        self._slower_than_ns = slower_than * 1e9 if slower_than is not None else None
        self._max_bytes = max_bytes
        self._open = _OpenTraces(share)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note that a span of its trace is open."""
        context = span.get_span_context()
        self._open.trace_of(context, span).open[context.span_id] = None
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a span on, have it wait, or leave out its trace."""
        if span.context is None:
            return
        trace = self._open.trace_of(span.context, span)
        if not trace.is_kept and self._decides(span, trace):
            self._open.keep(trace)
        self._open.put(trace, span)
        # Only now, so that a trace of which nothing is open has no span that could still decide.
        trace.open.pop(span.context.span_id, None)
        if not trace.open and self._open.take_out(trace):
            trace.is_over = True
        if trace.is_over or trace.is_kept:  # also if another thread decided so meanwhile
            self._empty(trace)
        elif self._open.bytes > self._max_bytes:
            self._make_room(self._max_bytes * _FULL)

    def shutdown(self) -> None:
        """Pass on what is undecided, and shut the inner processor down."""
        self._make_room(0)
        self._processor.shutdown()

    def _decides(self, span: ReadableSpan, trace: "_Trace") -> bool:
        if self._errors and span.status.status_code is StatusCode.ERROR:
            return True
        since_ns = min(span.start_time or 0, trace.started_ns)
        return self._slower_than_ns is not None and (span.end_time or 0) - since_ns >= self._slower_than_ns

    def _empty(self, trace: "_Trace") -> None:
        """Pass on what waits if the trace is kept, else leave it out."""
        while (span := self._open.take(trace)) is not None:
            if trace.is_kept:
                self._processor.on_end(span)

    def _make_room(self, most_bytes: float) -> None:
        for trace in self._open.oldest_first():
            if self._open.bytes <= most_bytes:
                return
            if self._open.take_out(trace):
                self._open.keep(trace)
                self._empty(trace)


class _Trace:
    """What is known of a trace that has open spans."""

    __slots__ = ("is_kept", "is_over", "open", "started_ns", "trace_id", "waiting")

    def __init__(self, trace_id: int, started_ns: int, *, is_kept: bool) -> None:
        self.trace_id = trace_id
        self.started_ns = started_ns
        self.is_kept = is_kept
        self.is_over = False
        self.open: dict[int, None] = {}
        self.waiting: deque[tuple[ReadableSpan, int]] = deque()


class _OpenTraces:
    """The traces that have open spans, which of them are kept, and how much memory they take.

    Nothing here takes a lock, as spans end in the middle of a collection, too. Each trace and each span is put in by
    one thread and taken out by one, which is all that the number of bytes depends on.
    """

    def __init__(self, share: float) -> None:
        self._share_bound = TraceIdRatioBased(share).bound
        self._kept: set[int] = set()
        self._kept_in_order: deque[int] = deque()
        self.reset_after_fork()
        _all_open_traces.add(self)

    def reset_after_fork(self) -> None:
        """Forget what waits: the parent process passes it on."""
        self._traces: dict[int, _Trace] = {}
        self.bytes = 0

    def trace_of(self, context: SpanContext, span: ReadableSpan) -> _Trace:
        """Return the trace of a span, a new one if nothing of it was open."""
        trace_id = context.trace_id
        trace = self._traces.get(trace_id)
        if trace is None:
            is_kept = trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._share_bound or trace_id in self._kept
            new = _Trace(trace_id, span.start_time or 0, is_kept=is_kept)
            trace = self._traces.setdefault(trace_id, new)
            if trace is new:
                self.bytes += _TRACE_BYTES
        return trace

    def oldest_first(self) -> list[_Trace]:
        """Return the traces in the order in which they began."""
        return list(self._traces.values())

    def keep(self, trace: _Trace) -> None:
        """Decide that a trace is kept, also what starts in it later."""
        trace.is_kept = True
        self._kept.add(trace.trace_id)
        self._kept_in_order.append(trace.trace_id)
        if len(self._kept_in_order) > _REMEMBERED_TRACES:
            self._kept.discard(self._kept_in_order.popleft())

    def take_out(self, trace: _Trace) -> bool:
        """Leave out a trace; return whether it was there until now, to one thread alone."""
        if self._traces.get(trace.trace_id) is not trace or self._traces.pop(trace.trace_id, None) is None:
            return False
        self.bytes -= _TRACE_BYTES
        return True

    def put(self, trace: _Trace, span: ReadableSpan) -> None:
        """Have a span wait."""
        size = memory_of(span)
        self.bytes += size
        trace.waiting.append((span, size))

    def take(self, trace: _Trace) -> ReadableSpan | None:
        """Return the span of a trace that waits longest, which waits no longer; None if none waits."""
        try:
            span, size = trace.waiting.popleft()
        except IndexError:
            return None
        self.bytes -= size
        return span


_all_open_traces: Final[WeakSet[_OpenTraces]] = WeakSet()


@in_forked_child
def _reset_after_fork() -> None:
    for open_traces in _all_open_traces:
        open_traces.reset_after_fork()
