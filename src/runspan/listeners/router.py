"""Passes spans to the listeners in whose scope they start, by one span processor for each tracer provider.

No processor of an invocation is ever added to a provider: that can't be undone. The router is added once, holds no
invocation alive, and asks the context a span starts in which runs execute there.
"""

import atexit
import functools
import logging
from typing import Final, Protocol, runtime_checkable

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanContext

from runspan._by_identity import ByIdentity
from runspan._forking import fork_safe_lock
from runspan._guard import attempt
from runspan._span_processors import processor_on
from runspan.arguments import shown
from runspan.listeners.live_spans import LiveSpans
from runspan.listeners.third_party import THIRD_PARTY_SPANS
from runspan.runs.child_config import scope_of_body
from runspan.runs.current_span import run_starting, runs_executing, was_in_run
from runspan.runs.run import Run
from runspan.runs.scope import NOBODY, Scope
from runspan.runs.table import RunTable
from runspan.runs.tracing import end_runs_with_listeners

_routers: Final[ByIdentity[trace.TracerProvider, "Router"]] = ByIdentity()
_routers_lock: Final = fork_safe_lock()


@runtime_checkable
class TakesProcessors(Protocol):
    """A tracer provider to which span processors can be added; the API's own is none, nor are some vendors'."""

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Have a processor hear all spans."""


class Router(SpanProcessor):
    """Notifies listeners of the spans that start in their scope, and of the end of those.

    A span starts in the scope of the run that executes in its context, or of the span that is its parent. It ends in
    the scope it started in, whatever is over by then.
    """

    def __init__(self) -> None:
        self._live: LiveSpans[Scope] = LiveSpans()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Find who is to hear the span and notify them."""
        try:
            self._notify(span, parent_context)
        except BaseException:
            span.end()  # interrupted, so nobody is given the span to end it
            raise

    def _notify(self, span: Span, parent_context: Context | None) -> None:
        context = otel.get_current() if parent_context is None else parent_context
        run = run_starting(context)
        scope = attempt(self._scope_in, span, context, run, default=NOBODY)
        if scope is NOBODY:
            return
        self._live.put(span, scope)
        for processor in scope.processors:
            attempt(processor.on_start, span, parent_context, default=None)
        if run is None and scope.callbacks:
            THIRD_PARTY_SPANS.start(span, context, scope.callbacks)

    def on_end(self, span: ReadableSpan) -> None:
        """Notify those who heard it start."""
        scope = self._live.pop(span.context)
        if scope is None:
            return
        for processor in scope.processors:
            attempt(processor.on_end, span, default=None)
        if scope.callbacks:
            THIRD_PARTY_SPANS.end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  the interface
        """Return True: it holds nothing back. In older OpenTelemetry the default is None, which counts as a failure."""
        return True

    def join(self, run: Run, new: Scope) -> None:
        """Notify further processors of the span of a run, and of its end."""
        if not new.processors or not run.owns_span or not run.span.is_recording():
            return
        known = self._live.get(run.span.get_span_context()) or NOBODY
        self._live.put(run.span, known.joined(new))
        for processor in new.processors:
            attempt(processor.on_start, run.span, None, default=None)

    def scope_of(self, span: SpanContext | None) -> Scope:
        """Return in whose scope a live span started."""
        return self._live.get(span) or NOBODY

    def _scope_in(self, span: Span, context: Context, run: Run | None) -> Scope:
        # Not the context's current span: the context may be that of a thread of a ConcurrentMultiSpanProcessor.
        scope = run.audience.scope if run is not None else self.scope_of(span.parent)
        executing = list(runs_executing(context, run.table if run is not None else None))
        for each in executing:
            scope = scope.joined(each.audience.scope)
        if run is None and not executing and was_in_run(context):
            scope = scope.joined(scope_of_body())
        return scope


def route(provider: trace.TracerProvider) -> Router | None:
    """Return the router of a provider, added to it now if it has none; None if it takes no span processors."""
    router = _routers.get(provider)
    if router is None and isinstance(provider, TakesProcessors):
        with _routers_lock:
            router = processor_on(provider, _routers, Router)
    return router


def listen(table: RunTable, provider: trace.TracerProvider) -> None:
    """Have the spans of a provider, and those of the global one, reach the scopes they start in."""
    if table.router is None:
        # Once in all, and the latest: at exit it goes before the processors that were made until now.
        atexit.unregister(end_runs_with_listeners)
        atexit.register(end_runs_with_listeners)
    table.router = route(provider)
    route(trace.get_tracer_provider())


def provider_to_hear(provider: trace.TracerProvider, *, is_named: bool) -> trace.TracerProvider:
    """Return the provider that a handler with listeners uses: the given one if it takes span processors.

    Raises:
        TypeError: if it does not and the user named it.
    """
    if provider in _routers or isinstance(provider, TakesProcessors):
        return provider
    if is_named and not isinstance(provider, trace.ProxyTracerProvider):
        raise TypeError(
            f"tracer_provider is {shown(provider)}, which takes no span processors, so listeners would hear nothing."
            " Give a TracerProvider of opentelemetry-sdk, or leave out callbacks and span_processors."
        )
    return _private_provider()


@functools.cache
def _private_provider() -> trace.TracerProvider:
    """Return the provider of this process for handlers whose listeners would hear nothing without one."""
    logging.getLogger("runspan").info(
        "No OpenTelemetry tracer provider that takes span processors is set, so listeners get spans of LangChain runs"
        " from a provider of runspan's own, and none of other libraries. Call runspan.configure(), or set a provider"
        " with opentelemetry.trace.set_tracer_provider(), to have those too."
    )
    return TracerProvider(shutdown_on_exit=False)
