"""The current span, without patching and without detaching anything.

A run attaches a proxy, which answers every call by the span that is right at that moment: the run's own while the
run is what executes here, else what was current before. So a context that is left behind heals itself. The rules and
their reasons are in docs/design/current-span.md.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final, final
from uuid import UUID

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext

from runspan.runs.checkpoint_writes import is_checkpoint_write_on_stack
from runspan.runs.child_config import run_id_of_body, span_of_ended
from runspan.runs.execution import GRAPH_MODULE, ExecutionSite, Style, run_ids_on_stack
from runspan.runs.run import Run, RunTable, run_of_span
from runspan.runs.third_party_handlers import current_before, is_of_handler, repeats

# The innermost proxy, also where a user's span covers it: it tells in which run that span was opened.
_PROXY_KEY: Final = otel.create_key("runspan-run-span-proxy")
# OpenTelemetry's key of the current span, as its public function writes it: with it one new context is enough for a
# run, where functions that set one value each make two or three.
(_SPAN_KEY,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())
# In the context that a run's span starts with: tells span processors whose span it is.
_STARTING_KEY: Final = otel.create_key("runspan-starting")


@final
class RunSpanProxy(Span):
    """Stands for a run in the contexts that its start left behind."""

    def __init__(self, run: Run, base: Span, idle: Span | None = None) -> None:
        self.run = run
        self.base = base
        self.idle = idle
        """What was current when the run started, if that recorded nothing: a handler that is switched off made it."""

    def get_span_context(self) -> SpanContext:
        """Return the context of the span that is right now."""
        return _answer(self).get_span_context()

    def is_recording(self) -> bool:
        """Tell whether the span that is right now records."""
        return _answer(self).is_recording()

    def set_attributes(self, attributes: Any) -> None:
        """Set attributes on the span that is right now."""
        _answer(self).set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Set an attribute on the span that is right now."""
        _answer(self).set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Add an event to the span that is right now."""
        _answer(self).add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """Add a link to the span that is right now."""
        _answer(self).add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Rename the span that is right now."""
        _answer(self).update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Set the status of the span that is right now."""
        _answer(self).set_status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        """Record an exception on the span that is right now."""
        _answer(self).record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """Do nothing to a run's span, which ends with its run; end any other."""
        run, span = _find_executing(self)
        if run is None:
            span.end(end_time)

    def __getattr__(self, name: str) -> Any:
        # What SDK spans have beyond the API: some instrumentations read ``span.name`` or ``span.attributes``.
        return getattr(_answer(self), name)


def starting(run: Run, here: Context) -> Context:
    """Return the context to start the span of a run with, while the run's own ``span`` is still its parent's."""
    return Context({**here, _SPAN_KEY: run.span, _STARTING_KEY: run})


def run_starting(context: Context) -> Run | None:
    """Return the run whose span starts with this context, None if it is a span of somebody else's."""
    run = context.get(_STARTING_KEY)
    return run if isinstance(run, Run) else None


def runs_executing(context: Context, apart_from: RunTable | None = None) -> Iterator[Run]:
    """Yield the innermost run that executes in a context, for each table of runs but the given one."""
    span = context.get(_SPAN_KEY)
    is_covered = type(span) is not RunSpanProxy
    proxy = context.get(_PROXY_KEY) if is_covered else span
    seen = {apart_from}
    while type(proxy) is RunSpanProxy:
        table = proxy.run.table
        if table not in seen:
            seen.add(table)
            run, _ = _find_executing(proxy, table, by_config_alone=is_covered)
            if run is not None:
                yield run
        proxy = proxy.base


def runs_around(parent: SpanContext | None, context: Context) -> list[Run]:
    """Return the runs that execute where a span with this parent starts, the innermost first.

    Where the context does not tell, as in the threads of a ``ConcurrentMultiSpanProcessor``, the parent does.
    """
    run = run_of_span(parent)
    return list(runs_executing(context)) or ([run] if run is not None else [])


def was_in_run(context: Context) -> bool:
    """Tell whether a run was ever current in a context, or in one that it was copied from."""
    return _PROXY_KEY in context


def open_runs_in(context: Context) -> Iterator[Run]:
    """Yield the open runs that have a proxy in a context, the innermost first, also if they execute elsewhere."""
    proxy = context.get(_PROXY_KEY)
    while type(proxy) is RunSpanProxy:
        if not proxy.run.is_over:
            yield proxy.run
        proxy = proxy.base


def attach(run: Run, base: Span, here: Context) -> None:
    """Make the run current in this context and in what is started from it; it is never detached."""
    current = here.get(_SPAN_KEY)
    proxy = RunSpanProxy(run, base, current if type(current) is NonRecordingSpan else None)
    run.watch(proxy)
    otel.attach(Context({**here, _SPAN_KEY: proxy, _PROXY_KEY: proxy}))


def find_parent(
    table: RunTable, named_parent_id: UUID | None, site: ExecutionSite, here: Context
) -> tuple[Run | None, Span, Span]:
    """Find the parent of a run that starts here, the parent of its span, and what its proxy covers.

    LangChain's word counts, refined by what is current: a run that executes within the named parent, or a span that
    the user opened within it, is nearer. Without a name that this table knows, what is current counts.
    """
    named = table.find(named_parent_id)
    named_span = named.span if named is not None else trace.INVALID_SPAN
    base = here.get(_SPAN_KEY)
    if type(base) is not RunSpanProxy:
        base = _without_handlers(base, here.get(_PROXY_KEY))
    if type(base) is RunSpanProxy:
        if base.run is named and _works_plainly(named, site):
            return named, named_span, base
        is_sibling = functools.partial(_is_sibling, table, site, named)
        run, span = _find_executing(base, table, is_sibling)
        base = _without_past(base, is_sibling)
        if type(base) is not RunSpanProxy:
            base = span
    else:
        run, _ = _find_executing(here.get(_PROXY_KEY), table, by_config_alone=True)
        base = span = base if isinstance(base, Span) else trace.INVALID_SPAN
    # The named run may be over by now: a tool that timed out here is ended by the look at it.
    if named is None or named.is_over or (run is not None and run.is_within(named)):
        return run, span, base
    return named, named_span, base


def _without_handlers(span: object, proxy: object) -> object:
    """Return what is current below the span that another handler made current for a run, if it is one."""
    if isinstance(span, Span) and is_of_handler(span):
        before = current_before(span)
        return proxy if before is None else before
    if type(proxy) is RunSpanProxy and repeats(span, _spans_down_from(proxy)):
        return proxy
    return span


def _spans_down_from(span: Span) -> Iterator[Span]:
    while type(span) is RunSpanProxy:
        yield span.run.span
        if span.idle is not None:
            yield span.idle
        span = span.base
    yield span


def _works_plainly(run: Run, site: ExecutionSite) -> bool:
    """Tell whether the run is an open chain in which nothing can be nearer to the site: the usual case."""
    own_site = run.site
    return run.is_chain and own_site.style is Style.ORDINARY and own_site.frame_id != site.frame_id and not run.is_over


def _answer(proxy: RunSpanProxy) -> Span:
    return _find_executing(proxy)[1]


def _find_executing(
    span: object,
    table: RunTable | None = None,
    is_sibling: Callable[[Run], bool] = lambda _: False,
    *,
    by_config_alone: bool = False,
) -> tuple[Run | None, Span]:
    """Follow the proxies to the first whose run executes here; without one, to the span below them.

    If that is none, what is left of the run counts whose task or thread this is. Looked through are the proxies of
    other tables than the given one, and of siblings of the run that starts now.
    """
    passed: list[Run] = []
    while type(span) is RunSpanProxy:
        run = span.run
        if table is None or run.table is table:
            is_past = run.is_over or is_sibling(run) or run.is_lost()
            executing = None if is_past else _executing_for(run, passed, by_config_alone)
            if executing is not None:
                found = executing.span
                if not executing.is_over:  # else another thread has ended it meanwhile, and taken its span
                    return executing, found
            passed.append(run)
        span = span.base
    below = span if isinstance(span, Span) else trace.INVALID_SPAN
    if passed and not _is_valid(below):
        below = span_of_ended(passed) or below
    return None, below


def _executing_for(run: Run, passed: list[Run], by_config_alone: bool) -> Run | None:
    """Return the run that executes here if the given open one does: itself, or one within it."""
    if not run.is_chain:
        return _detached_on_stack(run) or run if _is_at_work(run) else None
    found: Run | None = run
    if run.site.style is Style.GENERATOR:
        found = _run_by_config(run, passed)
        if found is None and not by_config_alone and run.site.is_on_present_stack():
            found = run
        if found is None and _is_written_here(run.site):
            found = run
    return _detached_on_stack(found) or found if found is not None else None


def _is_written_here(site: ExecutionSite) -> bool:
    """Tell whether the state of a streamed graph is being saved here, in a thread or task that LangGraph began."""
    return site.module == GRAPH_MODULE and not site.is_current_task() and is_checkpoint_write_on_stack()


def _is_at_work(run: Run) -> bool:
    """Tell whether a model, tool or retriever run executes here; one that was abandoned here is ended."""
    site = run.site
    if site.style is Style.ORDINARY:
        if site.is_executing():
            return True
        if site.has_manager and site.is_current_task():
            run.table.abandon(run)
        return False
    if site.style is Style.GENERATOR:
        if site.is_on_present_stack():
            return True
        if not run.first_chunk_ns and not site.is_current_task() and site.is_executing_elsewhere():
            return True
    return any(run_id == run.run_id for _, run_id in run_ids_on_stack())


def _run_by_config(run: Run, passed: list[Run]) -> Run | None:
    """Return the run whose body LangChain says is executing, if it is the given one or within it.

    LangChain executes each body in a context whose child config names the body's run as parent.
    """
    run_id = run_id_of_body()
    if run_id is None:
        return None
    body = run.table.find(run_id) or _run_that_was(run_id, passed)
    if body is None or not body.is_within(run):
        return None
    while body.is_over and body.parent is not None:
        body = body.parent
    return body


def _run_that_was(run_id: UUID, passed: list[Run]) -> Run | None:
    """Find a run that is over by the proxies that it, or a later run of its body, left in this context."""
    for run in passed:
        if run.run_id == run_id:
            return run
        if run.named_parent_id == run_id:
            return run.parent
    return None


def _detached_on_stack(run: Run) -> Run | None:
    """Return the model run that executes further in than the given one, though another context holds its proxy.

    Such is a streaming model that a later step of the chain pulls, one that a gathered task started, and each of
    several that one ``generate`` started together.
    """
    table = run.table
    if not table.detached_models:
        return None
    for frame_id, run_id in run_ids_on_stack():
        found = table.detached_models.get(run_id) if run_id is not None else None
        found = found or table.detached_frames.get(frame_id)
        if found is not None and not found.site.is_collected() and not run.is_within(found):
            return found
        if frame_id == run.site.frame_id:
            return None
    return None


def _is_sibling(table: RunTable, site: ExecutionSite, named: Run | None, run: Run) -> bool:
    """Tell whether the frame that starts a run started another beside it: ``batch`` starts all before any works.

    A frame in which somebody drives the handler by hand starts the ancestors of the new run, too.
    """
    if run.table is not table or not run.site.is_same_frame(site) or (named is not None and named.is_within(run)):
        return False
    if not run.is_chain:
        run.table.note_detached(run)
    return True


def _without_past(span: Span, is_sibling: Callable[[Run], bool]) -> Span:
    """Leave out the proxies of siblings and of runs that are over: no chain of them grows in a long-lived context."""
    while type(span) is RunSpanProxy and (span.run.is_over or is_sibling(span.run)):
        span = span.base
    below = span
    while type(below) is RunSpanProxy:
        below.base = _base_without_past(below)
        below = below.base
    return span


def _base_without_past(proxy: RunSpanProxy) -> Span:
    """Leave out the proxies of runs that are over below one; where nothing is left, its ended parent's span is."""
    base = proxy.base
    while type(base) is RunSpanProxy and base.run.is_over:
        base = base.base
    parent = proxy.run.parent
    if base is not proxy.base and parent is not None and parent.is_over and not _is_valid(base):
        return NonRecordingSpan(parent.span.get_span_context())
    return base


def _is_valid(span: Span) -> bool:
    return type(span) is RunSpanProxy or span.get_span_context().is_valid
