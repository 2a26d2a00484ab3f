"""The current span, without patching and without detaching anything.

A run attaches a proxy, which answers every call by the span that is right at that moment: the run's own while the
run is what executes here, else what was current before. So a context that is left behind heals itself. The rules and
their reasons are in docs/design/current-span.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext

from runspan.runs import reaper
from runspan.runs.baggage import with_baggage
from runspan.runs.child_config import run_id_of_body, span_of_ended
from runspan.runs.executing import is_abandoned_here, run_executing
from runspan.runs.execution import GENERATOR, ORDINARY
from runspan.runs.run import Run, RunState, Table
from runspan.runs.table import run_of_span
from runspan.runs.third_party_handlers import has_ids

# The innermost proxy, also where a user's span covers it: in its run that span was opened.
_PROXY_KEY: Final = otel.create_key("runspan-run-span-proxy")
# OpenTelemetry's key of the current span, as its public function writes it: with it one new context is enough for a
# run, where functions that set one value each make two or three.
(_SPAN_KEY,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())
# In the context that a run's span starts with: by it span processors know whose span it is.
_STARTING_KEY: Final = otel.create_key("runspan-starting")

# For type checkers alone a proxy is always a span.
if TYPE_CHECKING:
    _Span = Span
else:
    _Span = object


@final
class RunSpanProxy(_Span):
    """Stands for a run in the contexts that its start left behind.

    Where that run is over and nothing is current below it, it is no span to ``isinstance``, so OpenTelemetry's
    ``get_current_span`` returns ``INVALID_SPAN`` itself. Servers' instrumentations compare with that to find out
    whether a request begins a trace or continues the one of its headers.
    """

    __slots__ = ("__weakref__", "base", "idle", "run")

    def __init__(self, run: Run, base: Span, idle: Span | None = None) -> None:
        self.run = run
        self.base = base
        self.idle = idle
        """What was current when the run started, if that recorded nothing: a handler that is switched off made it."""

    @property
    def __class__(self) -> type:
        """What ``isinstance`` goes by."""
        return RunSpanProxy if self.run.is_over and _span(self) is trace.INVALID_SPAN else Span

    @__class__.setter  # mypy wants one, as there is one in object
    def __class__(self, _: type) -> None: ...

    def get_span_context(self) -> SpanContext:
        """Return the context of the span that is right now."""
        return _span(self).get_span_context()

    def is_recording(self) -> bool:
        """Return whether the span that is right now records."""
        return _span(self).is_recording()

    def set_attributes(self, attributes: Any) -> None:
        """Set attributes on the span that is right now."""
        _span(self).set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Set an attribute on the span that is right now."""
        _span(self).set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Add an event to the span that is right now."""
        _span(self).add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """Add a link to the span that is right now."""
        _span(self).add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Rename the span that is right now."""
        _span(self).update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Set the status of the span that is right now."""
        _span(self).set_status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        """Record an exception on the span that is right now."""
        _span(self).record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """Do nothing to a run's span, which ends with its run; end any other."""
        current = _look(self)
        if current.run is None:
            current.span.end(end_time)

    def __enter__(self) -> Span:
        """Return the span itself, as spans do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do what ``end`` does."""
        self.end()

    def __getattr__(self, name: str) -> Any:
        # What SDK spans have beyond the API: some instrumentations read ``span.name`` or ``span.attributes``.
        return getattr(_span(self), name)


def _span(proxy: RunSpanProxy) -> Span:
    """Return the span that is right now: by a short way where that shows it, and nothing can be further in."""
    run = proxy.run
    site, detached_models = run.site, run.table.detached_models
    if site.style is ORDINARY:
        is_executing = not detached_models.by_id and (run.is_chain or site.is_seen_executing())
    elif site.style is not GENERATOR:
        is_executing = False
    elif run.is_chain:
        is_executing = not detached_models.by_id and run_id_of_body() is run.run_id
    else:
        is_executing = detached_models.is_only(run) and site.is_below()
    span, manager = run.span, site.manager
    if is_executing and not run.is_over and (manager is None or manager() is not None):
        return span
    return _look(proxy).span


class Current(NamedTuple):
    """What is current, and which runs the look at it came across."""

    run: Run | None
    """The run that executes, None if none does."""
    span: Span
    abandoned: Sequence[Run] = ()
    """Runs that nobody else will end: they started in this task and have finished without a report."""
    siblings: Sequence[Run] = ()
    """Runs that were looked through, as the run that starts now was started beside them."""


def find_current(
    span: object,
    table: Table | None = None,
    is_sibling: Callable[[Run], bool] | None = None,
    *,
    by_config_alone: bool = False,
) -> Current:
    """Follow the proxies to the first whose run executes here; without one, to the span below them.

    If that is none, what is left of the run counts whose task or thread this is. Nothing is changed.

    Args:
        span: the innermost span; only a proxy can lead to a run.
        table: the proxies of other tables are looked through.
        is_sibling: those of the runs that this names as well.
        by_config_alone: whether the stack does not count for generators, as a span covers the proxy.
    """
    passed: list[Run] = []
    abandoned: tuple[Run, ...] = ()
    siblings: tuple[Run, ...] = ()
    while type(span) is RunSpanProxy:
        run = span.run
        if table is None or run.table is table:
            state = RunState.OVER if run.is_over else run.state(from_stacks=not run.is_chain)
            if state is RunState.OVER or state is RunState.COLLECTED:
                pass
            elif is_sibling is not None and is_sibling(run):
                siblings += (run,)
            elif state is RunState.FINISHED and is_abandoned_here(run):
                abandoned += (run,)
            elif (executing := run_executing(run, state, passed, by_config_alone)) is not None:
                found = executing.span
                if not executing.is_over:  # else another thread has ended it meanwhile, and taken its span
                    return Current(executing, found, abandoned, siblings)
            passed.append(run)
        span = span.base
    below = span if isinstance(span, Span) else trace.INVALID_SPAN
    if passed and not has_ids(below):
        below = span_of_ended(passed, abandoned) or below
    return Current(None, below, abandoned, siblings)


def _look(span: object, table: Table | None = None, *, by_config_alone: bool = False) -> Current:
    """Return what is current, and report the runs that have to be ended, as who asks can't wait for that."""
    current = find_current(span, table, by_config_alone=by_config_alone)
    for run in current.abandoned:
        reaper.report(run, was_cancelled=run.site.was_cancelled())
    return current


def is_valid(span: Span) -> bool:
    """Return whether a span has ids, or may have."""
    return type(span) is RunSpanProxy or has_ids(span)


def current_in(context: Context) -> object:
    """Return what is the current span in a context, None if nothing is."""
    return context.get(_SPAN_KEY)


def proxy_in(context: Context) -> object:
    """Return the innermost proxy in a context, also where a span of the user's covers it; None if there is none."""
    return context.get(_PROXY_KEY)


def starting(run: Run, here: Context) -> Context:
    """Return the context to start the span of a run with, while the run's own ``span`` is still its parent's."""
    return Context({**here, _SPAN_KEY: run.span, _STARTING_KEY: run})


def run_starting(context: Context) -> Run | None:
    """Return the run whose span starts with this context, None if it is a span of somebody else's."""
    run = context.get(_STARTING_KEY)
    return run if isinstance(run, Run) else None


def runs_executing(context: Context, apart_from: Table | None = None) -> Iterator[Run]:
    """Yield the innermost run that executes in a context, for each table of runs but the given one."""
    span = context.get(_SPAN_KEY)
    is_covered = type(span) is not RunSpanProxy
    proxy = context.get(_PROXY_KEY) if is_covered else span
    seen: set[Table | None] = {apart_from}
    while type(proxy) is RunSpanProxy:
        table = proxy.run.table
        if table not in seen:
            seen.add(table)
            run = _look(proxy, table, by_config_alone=is_covered).run
            if run is not None:
                yield run
        proxy = proxy.base


def runs_around(parent: SpanContext | None, context: Context) -> list[Run]:
    """Return the runs that execute where a span with this parent starts, the innermost first.

    Where the context has none, as in the threads of a ``ConcurrentMultiSpanProcessor``, the run of the parent counts.
    """
    if runs := list(runs_executing(context)):
        return runs
    run = run_of_span(parent)  # looks through the tables of all providers
    return [] if run is None else [run]


def was_in_run(context: Context) -> bool:
    """Return whether a run was ever current in a context, or in one that it was copied from."""
    return _PROXY_KEY in context


def open_runs_in(context: Context) -> Iterator[Run]:
    """Yield the open runs that have a proxy in a context, the innermost first, also if they execute elsewhere."""
    proxy = context.get(_PROXY_KEY)
    while type(proxy) is RunSpanProxy:
        if not proxy.run.is_over:
            yield proxy.run
        proxy = proxy.base


def _keeps_contexts() -> bool:
    """Return whether what is attached becomes the current context; Datadog's keeps the ids of its span alone."""
    probe = object()
    token = otel.attach(Context({_STARTING_KEY: probe}))
    try:
        return otel.get_value(_STARTING_KEY) is probe
    finally:
        otel.detach(token)


_KEEPS_CONTEXTS: Final = _keeps_contexts()


def attach(proxy: RunSpanProxy, here: Context) -> None:
    """Make the run of a proxy current in this context and in what is started from it; it is never detached.

    Where contexts are not kept, it would be current for good, so there nothing is made current.
    """
    if not _KEEPS_CONTEXTS:
        return
    run = proxy.run
    run.watch(proxy)
    within: dict[str, object] = {**here, _SPAN_KEY: proxy, _PROXY_KEY: proxy}
    if run.audience.scope.baggage:
        within.update(_baggage_of(proxy, here))
    otel.attach(Context(within))


def attach_baggage(run: Run) -> None:
    """Make what a handler that joined a run adds to the baggage current, where that run is."""
    here = otel.get_current()
    proxy = here.get(_PROXY_KEY)
    if type(proxy) is RunSpanProxy and proxy.run is run:
        otel.attach(Context({**here, **_baggage_of(proxy, here)}))


def _baggage_of(proxy: RunSpanProxy, here: Context) -> Mapping[str, object]:
    added = proxy.run.audience.scope.baggage
    return with_baggage(here, added, lambda: _is_within(proxy)) if added else {}


def _is_within(proxy: RunSpanProxy) -> bool:
    """Return whether the run of a proxy, or one within it, executes here."""
    run = _look(proxy).run
    return run is not None and run.is_within(proxy.run)
