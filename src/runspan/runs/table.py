"""The table of open runs, and how each run's span ends.

Nothing here takes a lock: LangChain ends runs from collected generators, at any point of any thread. To claim a run is
atomic, and whoever claims it ends its span.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from uuid import UUID
from weakref import WeakSet

from opentelemetry.trace import SpanContext

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import Attributes
from runspan.runs.audience import PastRecipients, Recipients
from runspan.runs.execution import GENERATOR, ORDINARY, ExecutionSite
from runspan.runs.run import Run, RunState, run_number

if TYPE_CHECKING:
    from runspan.runs.interfaces import SpanRouter

_REMEMBERED_RUNS: Final = 4096
# That an unseen run stands for at a time: one that is cancelled without a report counts until that run ends.
_MOST_PARTS: Final = 1000
_NOTHING: Final[Attributes] = {}


_tables: Final[WeakSet["RunTable"]] = WeakSet()


def run_of_span(span: SpanContext | None) -> Run | None:
    """Return the open run that a span is of."""
    if span is None:
        return None
    for table in tuple(_tables):
        run = table.by_span.get(span.span_id)
        if run is not None and run.span.get_span_context().trace_id == span.trace_id:
            return run
    return None


class DetachedModels:
    """Open model runs whose stack may run in another context than the one that holds their proxy."""

    def __init__(self) -> None:
        self.by_id: dict[object, Run] = {}
        """By the numbers of their ids."""
        self.by_frame: dict[int, Run] = {}
        """Those started by a generator, by the identity of its frame."""

    def is_only(self, run: Run) -> bool:
        """Return whether a run, one started by a generator, is the only one."""
        return len(self.by_id) == 1 and self.by_frame.get(run.site.frame_id) is run

    def add(self, run: Run) -> None:
        """Add an open run."""
        self.by_id[run.number] = run
        if run.site.style is GENERATOR:
            self.by_frame[run.site.frame_id] = run

    def discard(self, run: Run) -> None:
        """Leave out a run that ends, if it is one of them."""
        if not self.by_id:
            return
        self.by_id.pop(run.number, None)
        if self.by_frame.get(run.site.frame_id) is run:
            del self.by_frame[run.site.frame_id]

    def find(self, frame_id: int, run_id: UUID | None) -> Run | None:
        """Return the run that a frame works for: by the run id that it was given, or because it started the run."""
        found = self.by_id.get(run_number(run_id)) if run_id is not None else None
        return found or self.by_frame.get(frame_id)


class RunTable:
    """The open runs of one tracer provider."""

    def __init__(self) -> None:
        self.open: dict[object, Run] = {}
        """The open runs by the number of their id: the hash of a UUID itself is Python's, and takes as long as all else
        that is done with a chunk of a stream."""
        self.by_span: dict[int, Run] = {}
        """The open runs that have a span of their own, by its id."""
        self.claims: dict[Run, object] = {}
        """Who ends a run that is about to end; one dictionary for all, since few runs are at the same time."""
        self.unseen: dict[object, Run] = {}
        """The open unseen runs that can stand for others, by the numbers of their ids and of the ids of those."""
        self.detached_models = DetachedModels()
        self.router: SpanRouter | None = None
        """Notifies span processors of the spans in their scope; None until somebody brings one."""
        self.abandoned: OrderedDict[UUID | None, PastRecipients] = OrderedDict()
        self._started: deque[tuple[UUID, SpanContext]] = deque(maxlen=_REMEMBERED_RUNS)
        _tables.add(self)
        self.begun_without_provider: int | None = None
        """How many runs had begun when there was a tracer provider at last; None if there was one, or is none yet."""

    @property
    def begun(self) -> int:
        """How many runs have begun, at most the few thousand that are remembered."""
        return len(self._started)

    def find(self, run_id: UUID | None) -> Run | None:
        """Return the open run with an id, else None."""
        return self.open.get(run_number(run_id))

    def open_runs(self) -> Iterator[Run]:
        """Yield the runs that are open now and of this process, the oldest first."""
        # The copy is made at once: a collection in the midst of the loop can end runs.
        yield from (run for run in self.open.copy().values() if not run.is_inherited)

    def add(self, run: Run) -> None:
        """Enter a run that has its span and its parent."""
        self.open[run.number] = run
        if run.parent is not None:
            run.parent.children[run] = None
        if not run.is_chain and run.site.style is not ORDINARY:
            self.detached_models.add(run)
        span = run.span.get_span_context()
        self._started.append((run.run_id, span))
        if run.owns_span:
            self.by_span[span.span_id] = run

    def add_unseen(self, run: Run) -> None:
        """Note that an open run is unseen; a chain that is no generator can stand for what starts within it."""
        run.parts, run.is_unseen = set(), True
        if not run.is_chain or run.site.style is not ORDINARY:
            return
        self.unseen[run.number] = run
        if run.is_over:  # another thread has ended it meanwhile
            self.unseen.pop(run.number, None)

    def find_unseen(self, run_id: UUID | None) -> Run | None:
        """Return the open unseen run with an id, or the one that stands for it."""
        return self.unseen.get(run_number(run_id))

    def add_part(self, run: Run, part_id: UUID) -> bool:
        """Have an unseen run stand for one that starts within it; return False if it does so for too many."""
        if len(run.parts) >= _MOST_PARTS:
            return False
        number = run_number(part_id)
        run.parts.add(number)
        self.unseen[number] = run
        self._started.append((part_id, run.span.get_span_context()))
        if run.is_over:  # another thread has ended it meanwhile
            self.end_part(part_id)
        return True

    def end_part(self, run_id: UUID | None) -> bool:
        """End a run that an unseen one stands for; return whether it is such."""
        number = run_number(run_id)
        run = self.unseen.get(number)
        if run is None or number not in run.parts:
            return False
        # In this order: what is left of one that is interrupted in between, the run takes along when it ends.
        was_there = self.unseen.pop(number, None) is not None
        run.parts.discard(number)
        return was_there

    def take(self, run_id: UUID | None, by: object) -> Run | None:
        """Return an open run to the first who asks, who has to end it; one that is inherited ends here.

        It stays in the table until it has ended, so that an interrupt in between loses nothing.
        """
        run = self.find(run_id)
        return run if run is not None and self.claim(run, by) else None

    def inherit(self) -> None:
        """Leave the open runs to the parent process; called in a forked child."""
        for run in self.open_runs():
            run.inherit()
        self.abandoned.clear()

    def recipients(self, run_id: UUID | None) -> Recipients | None:
        """Return who gets the events of a run, also of one that was abandoned: LangChain may still report some."""
        run = self.find(run_id)
        if run is not None:
            return run.audience.recipients
        past = self.abandoned.get(run_id)
        return past.recall() if past is not None else None

    def take_abandoned(self, run_id: UUID | None) -> Recipients | None:
        """Return, once, who got the events of a run that was abandoned."""
        past = self.abandoned.pop(run_id, None)
        return past.recall() if past is not None else None

    def end(
        self, run: Run, attributes: Attributes, error: str | None, at_ns: int, ended: ExecutionSite | None = None
    ) -> None:
        """End the span of a run that was taken, after those of its descendants that can't be executing any more.

        If that is interrupted it may be called again.

        Args:
            run: the run.
            attributes: what its span gets last.
            error: the description of the status ERROR; None leaves the status unset.
            at_ns: the time of the end.
            ended: where the run began that ended by itself, and this one with it; None if it is the run.
        """
        run.is_over = True
        if run.is_unseen:
            for number in (run.number, *run.parts):
                self.unseen.pop(number, None)
        if not run.is_chain:
            self.detached_models.discard(run)
        if run.children:
            was_cancelled = attributes.get(semconv.RUN_OUTCOME) == "cancelled"
            self._end_below(run, at_ns, ended or run.site, was_cancelled or None)
        if run.parent is not None:
            run.parent.children.pop(run, None)
        run.end_span(attributes, error, at_ns)
        if self.open.get(run.number) is run:
            self.open.pop(run.number, None)
        if run.owns_span:
            self.by_span.pop(run.span.get_span_context().span_id, None)
        run.close()

    def finish(self, run: Run, by: object, attributes: Attributes = _NOTHING) -> None:
        """End a run that this one had to end and was kept from, by Ctrl-C for example."""
        if run.claim(by) and not run.is_ended:
            self.end(run, attributes, "" if semconv.ERROR_TYPE in attributes else None, time.time_ns())

    def close(self, run: Run) -> None:
        """End an open run of which there are no events."""
        self.finish(run, by=self)

    def abandon(self, run: Run, at_ns: int | None = None, *, was_cancelled: bool | None = None) -> None:
        """End an open run that LangChain will not end.

        Args:
            run: the run.
            at_ns: the time of the end, by default now.
            was_cancelled: whether it was cancelled; None to find out.
        """
        attempt(self._abandon, run, at_ns or time.time_ns(), run.site, was_cancelled, default=None)

    def sweep(self) -> None:
        """Abandon the open runs that can't be executing any more, the latest first."""
        for run in reversed(list(self.open_runs())):
            if run.state() in (RunState.FINISHED, RunState.COLLECTED):
                self.abandon(run)

    def span_of(self, run_id: UUID) -> SpanContext | None:
        """Return the span of a run that is open, or was one of the last few thousand to start."""
        run = self.find(run_id)
        if run is not None and (span := run.span.get_span_context()).is_valid:
            return span
        # The copy is made at once: other threads start runs meanwhile.
        return next((span for started_id, span in reversed(self._started.copy()) if started_id == run_id), None)

    def claim(self, run: Run, by: object) -> bool:
        """Claim an open run; return whether that is granted: to the first who asks, who has to end it."""
        if not run.claim(by):
            return False
        if run.is_inherited:
            self.end(run, _NOTHING, None, 0)
            return False
        return True

    def _end_below(self, run: Run, at_ns: int, ended: ExecutionSite, was_cancelled: bool | None) -> None:
        for child in reversed(list(run.children)):
            if not child.outlives(ended):
                attempt(self._abandon, child, at_ns, ended, was_cancelled, default=None)
            elif (ancestor := run.open_ancestor()) is not None:
                ancestor.children[child] = None

    def _abandon(self, run: Run, at_ns: int, ended: ExecutionSite, was_cancelled: bool | None) -> None:
        me, outcome = object(), {semconv.RUN_OUTCOME: "cancelled" if was_cancelled else "abandoned"}
        try:
            if not self.claim(run, me):
                return
            if was_cancelled is None and run.site.was_cancelled():
                outcome = {semconv.RUN_OUTCOME: "cancelled"}
            self._remember(run)
            describe = run.record.describe_abandoned
            last = attempt(describe, run, at_ns, default=_NOTHING) if describe is not None else _NOTHING
            self.end(run, {**last, **outcome}, None, at_ns, ended)
        finally:
            self.finish(run, me, outcome)

    def _remember(self, run: Run) -> None:
        if recipients := run.audience.recipients:
            run_id = run.run_id
            self.abandoned[run_id] = PastRecipients(recipients, lambda _: self.abandoned.pop(run_id, None))
            if len(self.abandoned) > _REMEMBERED_RUNS:
                self.abandoned.popitem(last=False)
