"""Starts runs: one table of runs for each tracer provider, whichever handlers serve it."""

import functools
import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, ProxyTracerProvider, SpanContext, SpanKind, TracerProvider

from runspan._by_identity import ByIdentity
from runspan._environment import is_sdk_disabled
from runspan._forking import fork_safe_lock, in_forked_child
from runspan._version import __version__
from runspan.attributes import Attributes
from runspan.runs import reaper
from runspan.runs.audience import Audience
from runspan.runs.current_span import RunSpanProxy, attach, current_in, starting
from runspan.runs.interfaces import RunStart
from runspan.runs.invocation_state import Invocation
from runspan.runs.parent import Parent, drop_past, find_parent
from runspan.runs.record import Record
from runspan.runs.run import Run
from runspan.runs.sampling import dropped_below
from runspan.runs.scope import NOBODY, Scope
from runspan.runs.table import RunTable

# Set in a context by who wants no spans there, such as an exporter that makes requests itself.
_SUPPRESSED: Final = "suppress_instrumentation"

_tables: Final[ByIdentity[TracerProvider, RunTable]] = ByIdentity()
_tables_lock: Final = fork_safe_lock()


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

    def prepare(
        self,
        start: RunStart,
        here: Context,
        record: Record,
        handlers: tuple[object, ...],
        scope: Scope,
    ) -> RunSpanProxy:
        """Make a run that is about to start: find its parent, and who hears it; return what stands for it in contexts.

        Args:
            start: what is known of the run.
            here: the context that it starts in.
            record: what is recorded of it, to begin with.
            handlers: those that start it.
            scope: the listeners that its handler brings; those of its parent hear it anyway.
        """
        reaper.start()
        if self._is_nowhere:
            _log_no_provider()
        run = Run(start, self.table, record)
        current = current_in(here)
        found = find_parent(run, self.table, current, here)
        if found[-1] is not None:
            found = self._without_past(found, run, current, here)
        parent, run.span, base, _ = found
        run.parent = parent
        # What it shares with the runs around it.
        if parent is None:
            run.audience, run.trace_budget, run.invocation = Audience(handlers), None, Invocation()
        else:
            run.audience, run.trace_budget = parent.audience.within(handlers), parent.trace_budget
            run.invocation = parent.invocation or Invocation()
        if self.table.router is not None:
            # A span of the user's may be what is left of an invocation that is over.
            run.audience = run.audience.with_listeners(self.table.router.scope_of(run.span.get_span_context()))
        if scope is not NOBODY:
            run.audience = run.audience.with_listeners(scope)
        return RunSpanProxy(run, base, current if type(current) is NonRecordingSpan else None)

    def start(
        self,
        proxy: RunSpanProxy,
        here: Context,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        *,
        links: Sequence[Link] = (),
        is_hidden: bool = False,
    ) -> None:
        """Start the span of a run that is prepared, enter the run into the table, make it current.

        A hidden run gets no span of its own; it stands for its parent's, so that its children move up.

        Args:
            proxy: what stands for the run.
            here: the context that it starts in.
            name: the name of its span.
            kind: the kind of its span.
            attributes: those that samplers may see.
            links: those of its span.
            is_hidden: whether there is to be no span.
        """
        run = proxy.run
        run.start_attributes = attributes
        run.owns_span = not (is_hidden or here.get(_SUPPRESSED))
        parent_span = run.span
        try:
            if run.owns_span:
                # What is measured of the run counts from its own moment; a sampler may take its time.
                run.span = self.tracer.start_span(
                    name, starting(run, here), kind, attributes, links, start_time=run.started_ns
                )
            self.table.add(run)
        except BaseException:
            if run.span is not parent_span:
                self.table.add(run)  # interrupted: the caller finds the run there and ends it
            raise
        attach(proxy, here)

    def _without_past(self, found: Parent, run: Run, around: object, here: Context) -> Parent:
        """End the runs that were abandoned where a run starts, note those that begin beside it; return its parent."""
        _, _, base, current = found
        if current is not None and current.abandoned:
            for abandoned in current.abandoned:
                abandoned.table.abandon(abandoned)
            found = _, _, base, current = find_parent(run, self.table, around, here)
        if current is not None:
            for sibling in current.siblings:
                if not sibling.is_chain:
                    self.table.detached_models.add(sibling)
            drop_past(base)
        return found


def spans_of(run_id: UUID) -> list[tuple[TracerProvider, SpanContext]]:
    """Return the spans of a run that is open or started not long ago, each with the provider that made it."""
    found = [(provider, table.span_of(run_id)) for provider, table in _tables.items()]
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
    return [provider for provider, _ in _tables.items()]


def runs_begun(provider: TracerProvider) -> int:
    """Return how many runs have begun with a provider, at most the few thousand that are remembered."""
    table = _tables.get(provider)
    return 0 if table is None else table.begun


def runs_begun_without_provider() -> int:
    """Return how many runs began while no tracer provider was set, likewise."""
    for provider, table in _tables.items():
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
    for table in _tables.values():
        table.sweep()
    return reaper.wait(timeout)


def end_runs_with_listeners() -> None:
    """End what is open and listened to, at the end of the process."""
    for table in _tables.values():
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
