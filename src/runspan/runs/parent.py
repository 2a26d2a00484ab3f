"""The parent of a run that starts: what LangChain names, refined by what is current."""

import functools
from collections.abc import Callable, Iterator
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span

from runspan.runs.current_span import Current, RunSpanProxy, current_in, find_current, is_valid, proxy_in
from runspan.runs.execution import ORDINARY, ExecutionSite
from runspan.runs.run import Run, RunState
from runspan.runs.table import RunTable
from runspan.runs.third_party_handlers import current_before, has_ids, is_of_handler, repeats

_PAST: Final = (RunState.FINISHED, RunState.COLLECTED, RunState.OVER)


Parent = tuple[Run | None, Span, Span, Current | None]
"""The parent of a run; the parent of its span, invalid if that starts a trace; what its proxy covers; what is current.

The last is None in the usual case, in which that can't be nearer than the run that LangChain names.
"""


def find_parent(run: Run, table: RunTable, base: object, here: Context) -> Parent:
    """Find the parent of a run that starts here; nothing is changed.

    LangChain's word counts, refined by what is current: a run that executes within the named parent, or a span that
    the user opened within it, is nearer. Without a name that this table knows, what is current counts.

    Args:
        run: the run.
        table: where its parent is looked for.
        base: what is current here.
        here: the context.
    """
    named, site = table.find(run.named_parent_id), run.site
    if named is None and table.unseen:
        # Of a part of an unseen run there is nothing else, and a thread that knows no context has only its name.
        named = table.find_unseen(run.named_parent_id)
    if type(base) is not RunSpanProxy and base is not None:
        base = _without_handlers(base, proxy_in(here))
    if type(base) is RunSpanProxy:
        if named is not None:
            innermost = _without_ended(base) if base.run.is_over else base
            if _is_nearest(named, innermost, site):
                return named, named.span, innermost, None
        is_sibling = functools.partial(_is_sibling, table, site, named)
        current = find_current(base, table, is_sibling)
        base = _without_past(base, is_sibling)
        if type(base) is not RunSpanProxy:
            base = current.span
        span = current.span
    else:
        current = find_current(proxy_in(here), table, by_config_alone=True)
        base = span = base if isinstance(base, Span) else trace.INVALID_SPAN
    if named is None or (current.run is not None and current.run.is_within(named)):
        return current.run, span, base, current
    # One that can't execute any more is over, though whoever ends it may not have come to it.
    if named.state() in _PAST:
        return current.run, span, base, current
    return named, named.span, base, current


def is_part(run: Run, here: Context) -> bool:
    """Return whether what starts here is certain to be within its parent, an ordinary chain, and to end no later."""
    innermost = current_in(here)
    while type(innermost) is RunSpanProxy and innermost.run.is_over:
        innermost = innermost.base
    return type(innermost) is RunSpanProxy and innermost.run is run and run.site.is_current_task()


def drop_past(span: Span) -> None:
    """Leave out the proxies of runs that are over below one: no chain of them grows in a long-lived context."""
    while type(span) is RunSpanProxy:
        span.base = _base_without_past(span)
        span = span.base


def _without_handlers(span: object, proxy: object) -> object:
    """Return what is current below the span that another handler made current for a run, if it is one."""
    if isinstance(span, Span) and is_of_handler(span):
        before = current_before(span)
        return proxy if before is None else before
    if type(proxy) is RunSpanProxy and repeats(span, _spans_down_from(proxy)):
        return proxy
    return span if isinstance(span, Span) and has_ids(span) else None


def _spans_down_from(span: Span) -> Iterator[Span]:
    while type(span) is RunSpanProxy:
        yield span.run.span
        if span.idle is not None:
            yield span.idle
        span = span.base
    yield span


def _is_nearest(run: Run, innermost: Span, site: ExecutionSite) -> bool:
    """Return whether the innermost run is this one, and a chain in which nothing can be nearer: the usual case."""
    if type(innermost) is not RunSpanProxy or innermost.run is not run:
        return False
    return run.is_chain and run.site.style is ORDINARY and run.site.frame_id != site.frame_id and not run.is_over


def _without_ended(span: Span) -> Span:
    while type(span) is RunSpanProxy and span.run.is_over:
        span = span.base
    return span


def _is_sibling(table: RunTable, site: ExecutionSite, named: Run | None, run: Run) -> bool:
    """Return whether the frame that starts a run started another beside it: ``batch`` starts all before any works.

    A frame in which somebody drives the handler by hand starts the ancestors of the new run, too, and one with blocks
    within each other starts the outer ones. Blocks have no handlers.
    """
    if run.table is not table or not run.site.is_same_frame(site) or not run.audience.handlers:
        return False
    return named is None or not named.is_within(run)


def _without_past(span: Span, is_sibling: Callable[[Run], bool]) -> Span:
    """Return the first span without the proxies of siblings and of runs that are over."""
    while type(span) is RunSpanProxy and (span.run.is_over or is_sibling(span.run)):
        span = span.base
    return span


def _base_without_past(proxy: RunSpanProxy) -> Span:
    """Return the base without the proxies of ended runs; where nothing is left, the span of the ended parent."""
    base = _without_ended(proxy.base)
    parent = proxy.run.parent
    if base is not proxy.base and parent is not None and parent.is_over and not is_valid(base):
        return NonRecordingSpan(parent.span.get_span_context())
    return base
