"""Runs: what has begun and not ended, and how each run's span ends.

Nothing here takes a lock: LangChain ends runs from collected generators, at any point of any thread. Taking a run out
of the table is atomic, and whoever takes it out ends its span.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary, ref

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, Status, StatusCode

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import Attributes
from runspan.runs import reaper
from runspan.runs.execution import ExecutionSite, Style
from runspan.runs.scope import NOBODY, Scope

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

    from runspan.runs.interfaces import EventSink, SpanRouter
    from runspan.runs.invocation_state import AgentUsage, Failed, ToolCallLinks

_REMEMBERED_RUNS: Final = 4096

_NOTHING: Final[Attributes] = {}
_OF_ONE_FRAME: Final = (Style.ORDINARY, Style.GENERATOR)


class Run:
    """A LangChain run between its start and its end."""

    __slots__ = (
        "__weakref__",
        "_claim",
        "_proxy",
        "agent_usage",
        "attempt_key",
        "attributes",
        "captures",
        "children",
        "chunk_ns",
        "chunks",
        "failed",
        "fallback",
        "first_chunk_ns",
        "handlers",
        "is_chain",
        "is_ended",
        "is_inherited",
        "is_model",
        "is_over",
        "named_parent_id",
        "outbox",
        "owns_span",
        "parent",
        "partial",
        "run_id",
        "scope",
        "site",
        "span",
        "start_attributes",
        "started_ns",
        "table",
        "tool_call_links",
    )

    # Filled in by whoever starts the run, before it enters the table.
    parent: "Run | None"
    span: Span
    owns_span: bool

    def __init__(
        self,
        run_id: UUID,
        named_parent_id: UUID | None,
        table: "RunTable",
        caller: FrameType,
        *,
        is_chain: bool,
    ) -> None:
        self.run_id = run_id
        self.named_parent_id = named_parent_id
        self.table = table
        self.is_chain = is_chain
        self.site = ExecutionSite(caller, self._on_gone)
        self.is_over = False
        self.is_ended = False
        """Whether its span has ended, too, and all is let go."""
        self.is_inherited = False
        """Whether it began before this process was forked: then its parent process ends it."""
        self.children: dict[Run, None] = {}
        """Those that are open, the oldest first."""
        self.is_model = False
        self.captures = False
        """Whether content may go onto the span: all handlers of the run have to allow it."""
        self.scope: Scope = NOBODY
        self.outbox: EventSink | None = None
        """Where events for async handlers go; one for all runs of an invocation, None in sync runs."""
        self.tool_call_links: ToolCallLinks | None = None
        """What it shares with all runs of its invocation."""
        self.agent_usage: AgentUsage | None = None
        """What is done within it, if it is an agent or a graph."""
        self.failed: deque[Failed] | None = None
        """The runs directly within it that failed, the last of them."""
        self.attempt_key: object = None
        """What tells attempts at the same from others within its parent; see ``attempts``."""
        self.fallback = 0
        """The number of the fallback that it is, 0 if it is none."""
        self.handlers: tuple[object, ...] = ()
        """Those that were told of the run, the first is the one that speaks for it."""
        self.attributes: Attributes = _NOTHING
        """What the span gets when the run ends: each time an SDK span is given some costs as much as a few of them."""
        self.started_ns = time.time_ns()
        self.first_chunk_ns = 0
        self.start_attributes: Attributes = _NOTHING
        """What its span was given when it began."""
        self.chunk_ns: list[int] = []
        """When each chunk came."""
        self.chunks: list[object] = []
        """What a model streamed so far."""
        self.partial: Callable[[Run, int], Attributes] | None = None
        """Tells what the run has come to, should it be abandoned; it is given the time of that."""
        self._proxy: ref[object] | None = None
        self._claim: dict[str, object] = {}

    def is_within(self, ancestor: "Run") -> bool:
        """Tell whether this run is the other or a descendant of it."""
        run: Run | None = self
        while run is not None and run is not ancestor:
            run = run.parent
        return run is not None

    def lineage(self) -> "Iterator[Run]":
        """Yield the runs around this one, the nearest first."""
        run = self.parent
        while run is not None:
            yield run
            run = run.parent

    def open_ancestor(self) -> "Run | None":
        """Return the nearest ancestor that is not over."""
        run = self.parent
        while run is not None and run.is_over:
            run = run.parent
        return run

    def watch(self, proxy: object) -> None:
        """Learn when nothing can lead to this run any more: its proxy and its callback manager are both gone."""
        self._proxy = ref(proxy, self._on_gone)

    def claim(self, by: object) -> bool:
        """Claim to end the run: True for the first who does, and for that one however often it asks.

        So who is interrupted before it has noted the answer can ask again.
        """
        return self._claim.setdefault("by", by) is by

    def is_lost(self) -> bool:
        """Tell whether the run is open though nobody can report its end, for its callback manager does not exist.

        Unless LangChain is known to keep that until the end, what could lead to the run must be gone, too.
        """
        if self.is_over or not self.site.is_collected():
            return False
        if self._is_langchains_invocation:
            return True
        return self._proxy is not None and (self._proxy() is None or self.site.is_silenced())

    def outlives(self, ended: ExecutionSite) -> bool:
        """Tell whether the run may go on though an ancestor ended: in a live task or thread of its own."""
        site = self.site
        if self.is_lost() or site.is_same_task(ended) or not site.is_task_alive():
            return False
        return not self._is_seen_executing or site.is_executing_elsewhere()

    def is_finished(self) -> bool:
        """Tell whether the run is open though it can't be executing any more."""
        if self.is_lost():
            return True
        if self._is_seen_executing:
            return not self.site.is_executing()
        return self.is_chain and self.site.style is Style.ORDINARY and not self.site.is_task_alive()

    def audience(self) -> "Audience | None":
        """Return who is to be told of the run's events, None if nobody."""
        if not self.scope.callbacks:
            return None
        return Audience(self.scope.callbacks, self.outbox, self.handlers[0] if self.handlers else None)

    def close(self) -> None:
        """Let go of what a finished run does not need.

        Its lineage stays, without the ancestors that are over: none grows with runs that start each other. Of its span
        stays what a child needs that a late task starts.
        """
        self.site.forget()
        self.parent = self.open_ancestor()
        self.span, self.chunks, self.handlers = NonRecordingSpan(self.span.get_span_context()), [], ()
        self.attributes, self.start_attributes, self.chunk_ns = _NOTHING, _NOTHING, []
        self.scope, self.outbox, self.tool_call_links = NOBODY, None, None
        self._proxy = self.partial = self.failed = self.attempt_key = None
        self.is_ended = True
        self._claim = {"by": None}  # who ended it may hold what is the user's

    def inherit(self) -> None:
        """Make it what a forked child knows of a run of its parent process.

        What starts within it here is below its span and in its scope; that span is not the child's to change or end.
        """
        self.is_inherited = True
        context = self.span.get_span_context()
        self.span = NonRecordingSpan(
            SpanContext(context.trace_id, context.span_id, True, context.trace_flags, context.trace_state)
        )
        self.owns_span = False
        self.children, self.chunks, self.chunk_ns = {}, [], []
        self.handlers, self.attributes, self.start_attributes = (), _NOTHING, _NOTHING
        self.outbox = self.partial = None

    @property
    def _is_seen_executing(self) -> bool:
        # Chains and generators report their own end; of the others the frame tells, if LangChain started them. So it
        # does of an invocation, which may be interrupted before LangChain is ready to report its end.
        ends_with_frame = self.site.style is Style.ORDINARY and self.site.has_manager
        return ends_with_frame and (not self.is_chain or self._is_langchains_invocation)

    @property
    def _is_langchains_invocation(self) -> bool:
        """Whether it is at the top and its callback manager a variable of the function that it executes in."""
        is_top = self.named_parent_id is None
        return is_top and self.site.style in _OF_ONE_FRAME and self.site.is_langchains

    def _on_gone(self, _: object) -> None:
        # May be called in the middle of a collection, in a thread that holds any lock: only note it. A run that was
        # interrupted while it was made is in no table.
        if self.table.find(self.run_id) is self and self.is_lost():
            reaper.report(self)


_by_span: Final[WeakValueDictionary[int, Run]] = WeakValueDictionary()


def run_of_span(span: SpanContext | None) -> Run | None:
    """Return the open run that a span is of."""
    if span is None or (run := _by_span.get(span.span_id)) is None:
        return None
    return run if run.span.get_span_context().trace_id == span.trace_id else None


class Audience(NamedTuple):
    """Who is told of an event, and by what way."""

    callbacks: "tuple[BaseCallbackHandler, ...]"
    outbox: "EventSink | None"
    speaker: object
    """The handler that speaks for the run, so that several do not tell the same."""
    had_outbox: bool = False
    """Whether there was an outbox that is gone."""


class _PastAudience:
    """Who heard of a run that was abandoned. Whoever may still tell of it holds the handlers, so this does not.

    Args:
        audience: who heard of it.
        on_gone: called when one of them is gone, and with it whoever could tell.
    """

    __slots__ = ("_callbacks", "_outbox", "_speaker")

    def __init__(self, audience: Audience, on_gone: Callable[[object], object]) -> None:
        self._callbacks = [ref(each, on_gone) for each in audience.callbacks]
        self._outbox = ref(audience.outbox) if audience.outbox is not None else None
        self._speaker = ref(audience.speaker) if audience.speaker is not None else None

    def recall(self) -> Audience:
        callbacks = tuple(each for reference in self._callbacks if (each := reference()) is not None)
        outbox = self._outbox() if self._outbox is not None else None
        speaker = self._speaker() if self._speaker is not None else None
        return Audience(callbacks, outbox, speaker, had_outbox=self._outbox is not None)


class RunTable:
    """The open runs of one tracer provider."""

    def __init__(self) -> None:
        self._open: dict[UUID | None, Run] = {}
        self.find: Callable[[UUID | None], Run | None] = self._open.get
        """Returns the open run with an id, else None."""
        self.detached_models: dict[UUID, Run] = {}
        """Open model runs that may execute where their proxy is not (see ``context``)."""
        self.detached_frames: dict[int, Run] = {}
        """The same, those started by a generator, by the identity of its frame."""
        self.router: SpanRouter | None = None
        """Tells span processors of the spans in their scope; None until somebody brings one."""
        self._abandoned: OrderedDict[UUID | None, _PastAudience] = OrderedDict()
        self._started: deque[tuple[UUID, SpanContext]] = deque(maxlen=_REMEMBERED_RUNS)

    def open_runs(self) -> Iterator[Run]:
        """Yield the runs that are open now and of this process, the oldest first."""
        # The copy is made at once: a collection in the midst of the loop can end runs.
        yield from (run for run in self._open.copy().values() if not run.is_inherited)

    def add(self, run: Run) -> None:
        """Enter a run that has its span and its parent."""
        self._open[run.run_id] = run
        if run.parent is not None:
            run.parent.children[run] = None
        if not run.is_chain and run.site.style is not Style.ORDINARY:
            self.note_detached(run)
        span = run.span.get_span_context()
        self._started.append((run.run_id, span))
        if run.owns_span:
            _by_span[span.span_id] = run

    def note_detached(self, run: Run) -> None:
        """Note a model run that may execute where its proxy is not."""
        self.detached_models[run.run_id] = run
        if run.site.style is Style.GENERATOR:
            self.detached_frames[run.site.frame_id] = run

    def take(self, run_id: UUID | None, by: object) -> Run | None:
        """Return an open run to the first who asks, who has to end it; one that is inherited ends here.

        It stays in the table until it has ended, so that an interrupt in between loses nothing.
        """
        run = self._open.get(run_id)
        if run is None or not run.claim(by):
            return None
        if run.is_inherited:
            self.end(run, _NOTHING, None, 0)
            return None
        return run

    def inherit(self) -> None:
        """Leave the open runs to the parent process; called in a forked child."""
        for run in self.open_runs():
            run.inherit()
        self._abandoned.clear()

    def audience(self, run_id: UUID | None) -> Audience | None:
        """Return who listens to a run, also to one that was abandoned: LangChain may still tell of it."""
        run = self.find(run_id)
        if run is not None:
            return run.audience()
        past = self._abandoned.get(run_id)
        return past.recall() if past is not None else None

    def take_abandoned(self, run_id: UUID | None) -> Audience | None:
        """Return, once, who listened to a run that was abandoned."""
        past = self._abandoned.pop(run_id, None)
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
        if self.detached_models:
            self._forget_detached(run)
        if run.children:
            was_cancelled = attributes.get(semconv.RUN_OUTCOME) == "cancelled"
            self._end_below(run, at_ns, ended or run.site, "cancelled" if was_cancelled else "abandoned")
        if run.parent is not None:
            run.parent.children.pop(run, None)
        span = run.span
        # Somebody may have ended the span by hand; the SDK would log a warning for each further call.
        if run.owns_span and span.is_recording():
            if run.attributes or attributes:
                span.set_attributes({**run.attributes, **attributes})
            if error is not None:
                span.set_status(Status(StatusCode.ERROR, error))
            span.end(at_ns)
        self._open.pop(run.run_id, None)
        if run.owns_span:
            _by_span.pop(span.get_span_context().span_id, None)
        run.close()

    def finish(self, run: Run, by: object, attributes: Attributes = _NOTHING) -> None:
        """End a run that this one had to end and was kept from, by Ctrl-C for example."""
        if run.claim(by) and not run.is_ended:
            self.end(run, attributes, "" if semconv.ERROR_TYPE in attributes else None, time.time_ns())

    def close(self, run: Run) -> None:
        """End an open run of which no event tells."""
        self.finish(run, by=self)

    def abandon(self, run: Run) -> None:
        """End an open run that LangChain will not end."""
        attempt(self._abandon, run, time.time_ns(), run.site, "abandoned", default=None)

    def sweep(self) -> None:
        """Abandon the open runs that can't be executing any more, the latest first."""
        for run in reversed(list(self.open_runs())):
            if run.is_finished():
                self.abandon(run)

    def trace_id(self, run_id: UUID) -> int | None:
        """Return the trace id of a run that is open, or was one of the last few thousand to start."""
        run = self.find(run_id)
        trace_id = run.span.get_span_context().trace_id if run is not None else 0
        # The copy is made at once: other threads start runs meanwhile.
        started = (span.trace_id for started_id, span in reversed(self._started.copy()) if started_id == run_id)
        return trace_id or next(started, None)

    def _end_below(self, run: Run, at_ns: int, ended: ExecutionSite, outcome: str) -> None:
        for child in reversed(list(run.children)):
            if not child.outlives(ended):
                attempt(self._abandon, child, at_ns, ended, outcome, default=None)
            elif (ancestor := run.open_ancestor()) is not None:
                ancestor.children[child] = None

    def _abandon(self, run: Run, at_ns: int, ended: ExecutionSite, outcome: str) -> None:
        me = object()
        try:
            if self.take(run.run_id, me) is None:
                return
            if run.site.was_cancelled():
                outcome = "cancelled"
            self._remember(run)
            partial = attempt(run.partial, run, at_ns, default=_NOTHING) if run.partial is not None else _NOTHING
            self.end(run, {**partial, semconv.RUN_OUTCOME: outcome}, None, at_ns, ended)
        finally:
            self.finish(run, me, {semconv.RUN_OUTCOME: outcome})

    def _remember(self, run: Run) -> None:
        if audience := run.audience():
            run_id = run.run_id
            self._abandoned[run_id] = _PastAudience(audience, lambda _: self._abandoned.pop(run_id, None))
            if len(self._abandoned) > _REMEMBERED_RUNS:
                self._abandoned.popitem(last=False)

    def _forget_detached(self, run: Run) -> None:
        self.detached_models.pop(run.run_id, None)
        if self.detached_frames.get(run.site.frame_id) is run:
            del self.detached_frames[run.site.frame_id]
