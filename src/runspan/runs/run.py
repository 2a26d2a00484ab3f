"""A run between its start and its end, and what is known of it in between."""

import enum
import time
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, Status, StatusCode

from runspan.attributes import Attributes
from runspan.runs import reaper
from runspan.runs.audience import EMPTY, Audience
from runspan.runs.execution import GENERATOR, ORDINARY, ExecutionSite
from runspan.runs.invocation_state import NO_RELATIONS, Invocation, Relations
from runspan.runs.record import Record, Stream
from runspan.semconv import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from weakref import ref

    from runspan.runs.budget import TraceBudget
    from runspan.runs.interfaces import RunStart, SpanRouter
    from runspan.runs.invocation_state import AgentUsage

_NOTHING: Final[Attributes] = {}
_OF_ONE_FRAME: Final = (ORDINARY, GENERATOR)


def run_number(run_id: UUID | None) -> object:
    """Return what a run is found by; who calls handlers by hand may give ids of any type."""
    return run_id.int if type(run_id) is UUID else run_id


class RunState(enum.Enum):
    """What is known of a run where somebody looks at it."""

    OPEN = enum.auto()
    """It may be executing: stacks don't show it, or were not looked at."""
    EXECUTING = enum.auto()
    """The function that started it is on a stack, or awaited by a task."""
    FINISHED = enum.auto()
    """It can't be executing any more, though nobody has reported its end."""
    COLLECTED = enum.auto()
    """Nobody can report its end any more: what would is garbage."""
    OVER = enum.auto()
    """Its end was reported, or found."""


class Detached(Protocol):
    """Runs by which frame works for them."""

    by_id: "dict[object, Run]"
    by_frame: "dict[int, Run]"

    def is_only(self, run: "Run") -> bool:
        """Return whether a run, one started by a generator, is the only one."""

    def add(self, run: "Run") -> None:
        """Add an open run."""

    def find(self, frame_id: int, run_id: UUID | None) -> "Run | None":
        """Return the run that a frame works for."""


class Table(Protocol):
    """The table of open runs that a run is in; ``RunTable`` is one."""

    router: "SpanRouter | None"
    claims: "dict[Run, object]"
    """Who ends a run that is about to end."""

    @property
    def detached_models(self) -> "Detached":
        """Open model runs whose stack may run in another context than the one that holds their proxy."""

    def find(self, run_id: UUID | None) -> "Run | None":
        """Return the open run with an id, else None."""

    def end(self, run: "Run", attributes: Attributes, error: str | None, at_ns: int) -> None:
        """End the span of a run that was taken."""

    def span_of(self, run_id: UUID) -> SpanContext | None:
        """Return the span of a run that is open, or was one of the last few thousand to start."""

    def finish(self, run: "Run", by: object, attributes: Attributes = _NOTHING) -> None:
        """End a run that this one had to end and was kept from."""

    def close(self, run: "Run") -> None:
        """End an open run of which there are no events."""

    def abandon(self, run: "Run") -> None:
        """End an open run that LangChain will not end."""


class Run:
    """A LangChain run between its start and its end."""

    __slots__ = (
        "__weakref__",
        "_proxy",
        "audience",
        "children",
        "invocation",
        "is_chain",
        "is_ended",
        "is_inherited",
        "is_model",
        "is_over",
        "is_unseen",
        "named_parent_id",
        "number",
        "owns_span",
        "parent",
        "parts",
        "record",
        "relations",
        "run_id",
        "site",
        "span",
        "start_attributes",
        "started_ns",
        "stream",
        "table",
        "trace_budget",
    )

    # Filled in by whoever starts the run, before it enters the table.
    parent: "Run | None"
    span: Span
    owns_span: bool
    audience: Audience
    invocation: Invocation | None
    """What all runs of its invocation share; None once it is over."""
    trace_budget: "TraceBudget | None"
    """What the content of its invocation may take; None until content is recorded."""

    is_over: bool
    is_ended: bool
    """Whether its span has ended, too, and all is let go."""
    is_unseen: bool
    """Whether nothing is recorded anywhere of it and of what starts within it: no span, no metric, no event."""
    parts: set[object]
    """The numbers of the ids of the runs that it stands for; there only if it is unseen."""
    is_inherited: bool
    """Whether it began before this process was forked: then its parent process ends it."""

    def __init__(self, start: "RunStart", table: Table, record: Record) -> None:
        kind = start.kind
        self.run_id = start.run_id
        self.number = run_number(start.run_id)
        """What tables find it by."""
        self.named_parent_id = start.parent_run_id
        self.table = table
        self.is_chain = kind.is_chain
        self.is_model = kind.is_model
        self.site = ExecutionSite(start.starter, start.manager, self._on_gone)
        self.started_ns = time.time_ns()
        self.start_attributes: Attributes = _NOTHING
        """What its span was started with."""
        self.children: dict[Run, None] = {}
        """Those that are open, the oldest first."""
        self.relations: Relations = NO_RELATIONS
        """What it has to do with others of its invocation; ``relate`` returns what can be added to."""
        self.stream: Stream | None = None
        """What it streams, once it does."""
        self.record = record
        self.is_over = self.is_ended = self.is_unseen = self.is_inherited = False
        self._proxy: ref[object] | None = None

    def is_within(self, ancestor: "Run") -> bool:
        """Return whether this run is the other or a descendant of it."""
        run: Run | None = self
        while run is not None and run is not ancestor:
            run = run.parent
        return run is not None

    def stood_for(self, run_id: UUID) -> bool:
        """Return whether this is an unseen run that stood for another, as long as that one is remembered."""
        return self.is_unseen and self.table.span_of(run_id) == self.span.get_span_context()

    def lineage(self) -> "Iterator[Run]":
        """Yield the runs around this one, the nearest first."""
        run = self.parent
        while run is not None:
            yield run
            run = run.parent

    def usages_around(self) -> "Iterator[AgentUsage]":
        """Yield what the agents and graphs around this run have used, the nearest first."""
        for run in self.lineage():
            if (usage := run.relations.agent_usage) is not None:
                yield usage

    def relate(self) -> Relations:
        """Return what the run has to do with others, to add to that."""
        if self.relations is NO_RELATIONS:
            self.relations = Relations()
        return self.relations

    def open_ancestor(self) -> "Run | None":
        """Return the nearest ancestor that is not over."""
        run = self.parent
        while run is not None and run.is_over:
            run = run.parent
        return run

    def watch(self, proxy: object) -> None:
        """Learn when nothing can lead to this run any more: its proxy and its callback manager are both gone."""
        self._proxy = self.site.watch(proxy)

    def claim(self, by: object) -> bool:
        """Claim to end the run: True for the first who does, and for that one however often it asks.

        So who is interrupted before it has noted the answer can ask again.
        """
        claims = self.table.claims
        is_first = claims.setdefault(self, by) is by
        if self.is_ended:  # and the claim of who ended it is gone
            claims.pop(self, None)
            return False
        return is_first

    def state(self, *, from_stacks: bool = True) -> RunState:
        """Return what is known of the run, as seen from where the caller executes.

        Args:
            from_stacks: whether to look for the run on stacks, which takes some microseconds; without, a run that could
                be found there is OPEN.
        """
        if self.is_over:
            return RunState.OVER
        site = self.site
        if site.is_collected() and self._has_no_reporter():
            return RunState.COLLECTED
        if not from_stacks or site.style is not ORDINARY:
            return RunState.OPEN
        # Chains report their own end, unless an invocation is interrupted before LangChain is ready to report it. All
        # others end with their frame, if LangChain started them.
        ends_with_frame = not self.is_chain or self._is_langchains_invocation
        if ends_with_frame and site.is_executing():
            return RunState.EXECUTING
        is_finished = site.has_manager if ends_with_frame else not site.is_task_alive()
        return RunState.FINISHED if is_finished else RunState.OPEN

    def outlives(self, ended: ExecutionSite) -> bool:
        """Return whether the run may go on though an ancestor ended.

        That is in a live task or thread of its own; or where the ancestor is a stream of LangChain's that its consumer
        left: each generator below it is closed by itself, and LangChain reads what that passes on to its end.
        """
        if self.site.is_same_task(ended):
            return self.site.is_open_generator() and ended.was_left()
        if not self.site.is_task_alive():
            return False
        return self.state() in (RunState.OPEN, RunState.EXECUTING)

    def end_span(self, attributes: Attributes, error: str | None, at_ns: int) -> None:
        """End the span, if it is the run's own, with what was noted for its end and the given attributes.

        ``error`` is the description of the status ERROR; None leaves the status unset.
        """
        span = self.span
        # Somebody may have ended the span by hand; the SDK would log a warning for each further call.
        if not self.owns_span or not span.is_recording():
            return
        if self.record.attributes:
            attributes = {**self.record.attributes, **attributes}
        if attributes:
            attributes = self.record.allowed(attributes, "span")
            span.set_attributes(attributes)
        if getattr(span, "dropped_attributes", 0):
            _restore_core(span, {**self.start_attributes, **attributes})
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(at_ns)

    def close(self) -> None:
        """Let go of what a finished run does not need.

        Its lineage stays, without the ancestors that are over: none grows with runs that start each other. Of its span
        stays what a child needs that a late task starts.
        """
        self.site.forget()
        if self.parent is not None and self.parent.is_over:
            self.parent = self.open_ancestor()
        self.span, self.start_attributes = NonRecordingSpan(self.span.get_span_context()), _NOTHING
        self.record.clear()
        self.audience, self.invocation, self.relations = EMPTY, None, self.relations.past()
        self._proxy = self.stream = None
        self.is_ended = True
        self.table.claims.pop(self, None)

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
        self.children, self.start_attributes = {}, _NOTHING
        self.record.clear()
        self.audience = Audience((), self.audience.scope)
        if self.stream is not None:
            self.stream.clear()

    def _has_no_reporter(self) -> bool:
        """Return whether nobody can report the end, now that the callback manager is gone.

        Unless LangChain is known to keep that until the end, what could lead to the run must be gone, too.
        """
        if self._is_langchains_invocation:
            return True
        return self._proxy is not None and (self._proxy() is None or self.site.is_langchains_stream)

    @property
    def _is_langchains_invocation(self) -> bool:
        """Whether it is at the top and its callback manager a variable of the function that it executes in."""
        site, is_top = self.site, self.named_parent_id is None
        return is_top and site.style in _OF_ONE_FRAME and site.has_manager and site.is_langchains

    def _on_gone(self, _: object) -> None:
        # May be called in the middle of a collection, in a thread that holds any lock: only note it. A run that was
        # interrupted while it was made is in no table.
        if self.table.find(self.run_id) is self and self.state(from_stacks=False) is RunState.COLLECTED:
            reaper.report(self)


def _restore_core(span: Span, attributes: Attributes) -> None:
    """Set again what a span must not lose: beyond its limit the SDK drops the oldest attributes, and keeps the newest.

    A value that is there stays: the attributes of the call may have replaced what we set.
    """
    there = getattr(span, "attributes", None) or _NOTHING
    core = {name: there.get(name, attributes[name]) for name in CORE if name in attributes}
    span.set_attributes(core)
