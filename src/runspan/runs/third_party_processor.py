"""Hears of the spans that others start, by one span processor for each tracer provider."""

from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import TracerProvider

from runspan import semconv
from runspan._by_identity import ByIdentity
from runspan._forking import fork_safe_lock
from runspan._span_processors import processor_on
from runspan.attributes import Attributes
from runspan.runs.current_span import open_runs_in, run_starting, runs_executing
from runspan.runs.third_party_handlers import is_in_callback, note


class ThirdPartySpanProcessor(SpanProcessor):
    """Notes the spans that other callback handlers start, and says of those within runs whose invocation it is."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note the span if it is a handler's, and set what the spans of its invocation have in common."""
        context = otel.get_current() if parent_context is None else parent_context
        if run_starting(context) is not None:
            return
        if is_in_callback():
            note(span, trace.get_current_span())
        if shared := _of_invocation(context):
            span.set_attributes(shared)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  the interface
        """Return True: it holds nothing back. In older OpenTelemetry the default is None, which counts as a failure."""
        return True


def _of_invocation(context: Context) -> Attributes:
    """Return what the run that executes in a context shares with the spans within it."""
    near = next(open_runs_in(context), None)
    if near is None or near.start_attributes.keys().isdisjoint(semconv.INVOCATION):
        return {}  # nothing to look for on stacks
    run = next(runs_executing(context), None)
    attributes = run.start_attributes if run is not None else {}
    return {name: attributes[name] for name in semconv.INVOCATION if name in attributes}


_PROCESSOR: Final = ThirdPartySpanProcessor()
_watched: Final[ByIdentity[TracerProvider, SpanProcessor]] = ByIdentity()
_watched_lock: Final = fork_safe_lock()


def watch(provider: Any) -> None:
    """Have the spans noted that other handlers start with a provider that takes span processors."""
    with _watched_lock:
        processor_on(provider, _watched, lambda: _PROCESSOR)
