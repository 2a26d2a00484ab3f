"""Starts runs: one table of runs for each tracer provider, whichever handlers serve it."""

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, ProxyTracerProvider, SpanContext, SpanKind, TracerProvider

from runspan._environment import is_sdk_disabled
from runspan._forking import fork_safe_lock, in_forked_child
from runspan._version import __version__
from runspan.attributes import Attributes
from runspan.runs import reaper
from runspan.runs.audience import Audience
from runspan.runs.current_span import attach, starting
from runspan.runs.invocation_state import InvocationState
from runspan.runs.parent import Parent, drop_past, find_parent
from runspan.runs.record import Record
from runspan.runs.run import Run
from runspan.runs.sampling import dropped_below
from runspan.runs.scope import NOBODY, Scope
from runspan.runs.starting_frame import StartFrames
from runspan.runs.table import RunTable

# Set in a context by who wants no spans there, such as an exporter that makes requests itself.
_SUPPRESSED: Final = "suppress_instrumentation"

_tables: Final[WeakKeyDictionary[TracerProvider, RunTable]] = WeakKeyDictionary()
_tables_lock: Final = fork_safe_lock()


class SpanStart(NamedTuple):
    """What the span of a run is started with."""

    name: str
    kind: SpanKind
    attributes: Attributes
    """What samplers may see."""
    links: Sequence[Link] = ()
    is_hidden: bool = False
    """Whether there is to be no span."""


class Tracing:
    """The runs of one tracer provider."""

    def __init__(self, provider: TracerProvider, table: RunTable | None = None) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer("runspan", __version__)
        self._is_nowhere = isinstance(provider, ProxyTracerProvider)
        self.is_dropped_below = dropped_below(provider)
        """Says of a parent whether it is certain that no span below it is sampled."""
        with _tables_lock:
            self.table = _tables.setdefault(provider, table or RunTable())
        _watch_handlers(provider)

    def follow(self, provider: TracerProvider) -> "Tracing":
        """Return the tracing of the provider that is global now, with the runs that began before it was set."""
        if provider is self.provider:
            return self
        if isinstance(self.provider, ProxyTracerProvider) and self.table.begun_without_provider is None:
            self.table.begun_without_provider = self.table.begun
        return Tracing(provider, self.table)

    def begin(
        self,
        frames: StartFrames,
        run_id: UUID,
        parent_id: UUID | None,
        describe: Callable[[Run], SpanStart],
        *,
        is_chain: bool,
        is_model: bool = False,
        record: Record | None = None,
        handlers: tuple[object, ...] = (),
        scope: Scope = NOBODY,
    ) -> Run:
        """Start a run: find its parent, start its span, make it current.

        A hidden run gets no span of its own; it stands for its parent's, so that its children move up.

        Args:
            frames: those that announced the run.
            run_id: the run.
            parent_id: the run that LangChain names as its parent.
            describe: returns what its span is started with, given the run once it has its parent.
            is_chain: whether LangChain reports the end of the run however it ends.
            is_model: whether it is a call of a model.
            record: what is recorded of it, to begin with.
            handlers: those that start it.
            scope: the listeners that its handler brings; those of its parent hear it anyway.
        """
        reaper.start()
        if self._is_nowhere:
            _log_no_provider()
        run = Run(
            run_id, parent_id, self.table, frames, is_chain=is_chain, is_model=is_model, record=record or Record()
        )
        here = otel.get_current()
        parent = self._parent_of(run, here)
        run.parent, run.span = parent.run, parent.span
        self._inherit(run, handlers)
        if scope is not NOBODY:
            run.audience.listen(scope)
        start = describe(run)
        run.start_attributes = start.attributes
        run.owns_span = not (start.is_hidden or here.get(_SUPPRESSED))
        self._start_span(run, start, here)
        attach(run, parent.base, here)
        return run

    def _parent_of(self, run: Run, here: Context) -> Parent:
        """Find the parent of a run, end the runs that were abandoned here, and note those that begin beside it."""
        parent = find_parent(self.table, run.named_parent_id, run.site, here)
        if parent.current is not None and parent.current.abandoned:
            for abandoned in parent.current.abandoned:
                abandoned.table.abandon(abandoned)
            parent = find_parent(self.table, run.named_parent_id, run.site, here)
        if parent.current is not None:
            for sibling in parent.current.siblings:
                if not sibling.is_chain:
                    self.table.detached_models.add(sibling)
            drop_past(parent.base)
        return parent

    def _start_span(self, run: Run, start: SpanStart, here: Context) -> None:
        """Start the span of a run, if it is to have one, and enter the run into the table."""
        parent_span = run.span
        try:
            if run.owns_span:
                context = starting(run, here)
                # What is measured of the run counts from this moment; a sampler may take its time.
                run.span = self.tracer.start_span(
                    start.name, context, start.kind, start.attributes, start.links, start_time=run.started_ns
                )
            self.table.add(run)
        except BaseException:
            if run.span is not parent_span:
                self.table.add(run)  # interrupted: the caller finds the run there and ends it
            raise

    def _inherit(self, run: Run, handlers: tuple[object, ...]) -> None:
        """Give a run that has its parent, and not yet a span of its own, what it shares with the runs around it."""
        parent = run.parent
        run.audience = Audience(handlers, parent.audience if parent is not None else None)
        run.invocation = InvocationState(parent.invocation if parent is not None else None)
        if self.table.router is not None:
            # A span of the user's may be what is left of an invocation that is over.
            run.audience.listen(self.table.router.scope_of(run.span.get_span_context()))


def spans_of(run_id: UUID) -> list[tuple[TracerProvider, SpanContext]]:
    """Return the spans of a run that is open or started not long ago, each with the provider that made it."""
    found = [(provider, table.span_of(run_id)) for provider, table in list(_tables.items())]
    # Once each: a provider that became the global one shares the table of what stood for it before.
    return list({span.span_id: (provider, span) for provider, span in found if span is not None}.values())


def _watch_handlers(provider: TracerProvider) -> None:
    for each in (provider, trace.get_tracer_provider()):
        if hasattr(each, "add_span_processor"):
            # Where nothing takes processors, no SDK is needed.
            from runspan.runs.third_party_processor import watch  # noqa: PLC0415  the reason above

            watch(each)


def providers() -> list[TracerProvider]:
    """Return the tracer providers that handlers of this process were made for, as far as they are there."""
    return list(_tables)


def runs_begun(provider: TracerProvider) -> int:
    """Return how many runs have begun with a provider, at most the few thousand that are remembered."""
    table = _tables.get(provider)
    return 0 if table is None else table.begun


def runs_begun_without_provider() -> int:
    """Return how many runs began while no tracer provider was set, likewise."""
    for provider, table in list(_tables.items()):
        if isinstance(provider, ProxyTracerProvider):
            return table.begun if table.begun_without_provider is None else table.begun_without_provider
    return 0


def end_open_runs(provider: TracerProvider) -> None:
    """End what is open, as at the end of the process: a stream that was left early may never be collected."""
    table = _tables.get(provider)
    if table is not None:
        _end_all(table)


def end_finished_runs(timeout: float) -> bool:
    """End the runs that can't be executing any more; return whether those that are reported have ended, in time."""
    for table in list(_tables.values()):
        table.sweep()
    return reaper.wait(timeout)


def end_runs_with_listeners() -> None:
    """End what is open and listened to, at the end of the process."""
    for table in list(_tables.values()):
        if table.router is not None:
            _end_all(table)


def _end_all(table: RunTable) -> None:
    for run in reversed(list(table.open_runs())):
        table.abandon(run)


@in_forked_child
def _inherit_runs() -> None:
    for table in _tables.values():
        table.inherit()


@functools.cache
def _log_no_provider() -> None:
    if is_sdk_disabled():
        return
    logging.getLogger("runspan").warning(
        "A LangChain run is traced, but no OpenTelemetry tracer provider is set, so its spans go nowhere. Call"
        " runspan.configure(), or set a provider of your own with opentelemetry.trace.set_tracer_provider()."
    )
