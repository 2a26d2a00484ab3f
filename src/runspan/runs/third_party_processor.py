"""Notes which spans other callback handlers start, by one span processor for each tracer provider."""

from typing import Any, Final
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import TracerProvider

from runspan._forking import fork_safe_lock
from runspan.runs.current_span import run_starting
from runspan.runs.third_party_handlers import is_in_callback, note


class ThirdPartyHandlerProcessor(SpanProcessor):
    """Notes the spans that start inside the callbacks of handlers other than ours."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note the span if it is a handler's."""
        is_ours = parent_context is not None and run_starting(parent_context) is not None
        if not is_ours and is_in_callback():
            note(span, trace.get_current_span())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  the interface
        """Return True: it holds nothing back. In older OpenTelemetry the default is None, which counts as a failure."""
        return True


_PROCESSOR: Final = ThirdPartyHandlerProcessor()
_watched: Final[WeakSet[TracerProvider]] = WeakSet()
_watched_lock: Final = fork_safe_lock()


def watch(provider: Any) -> None:
    """Have the spans noted that other handlers start with a provider that takes span processors."""
    with _watched_lock:
        if provider not in _watched:
            _watched.add(provider)
            provider.add_span_processor(_PROCESSOR)
