"""What runs need of those who listen to them: runs know them by these interfaces alone."""

from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.trace import SpanContext

from runspan.runs.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import BaseCallbackHandler


class EventSink(Protocol):
    """Where the events for async handlers of an invocation wait until its loop gets to them."""

    def put(self, callbacks: "Sequence[BaseCallbackHandler]", event: Any) -> None:
        """Have handlers notified of an event, after those that were put before."""


class SpanRouter(Protocol):
    """What leads the spans of a tracer provider to the listeners in whose scope they start."""

    def join(self, run: Any, new: Scope) -> None:
        """Notify further processors of the span of an open run, and of its end."""

    def scope_of(self, span: SpanContext | None) -> Scope:
        """Return in whose scope a live span started."""
