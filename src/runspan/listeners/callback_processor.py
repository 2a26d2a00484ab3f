"""The span processor that drives callback handlers."""

from collections.abc import Iterable

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from runspan.listeners import dispatch
from runspan.listeners.third_party import THIRD_PARTY_SPANS
from runspan.listeners.validation import checked_callbacks
from runspan.runs.current_span import run_starting
from runspan.runs.scope import Scope


class CallbackSpanProcessor(SpanProcessor):
    """Turn spans back into callback events for ordinary LangChain handlers.

    For LangChain runs the handlers get the live objects, in the order and by the rules of LangChain; for spans of
    other libraries that follow the GenAI conventions, OpenInference or OpenLLMetry, what the attributes say. Spans
    that mean nothing to a callback handler, such as HTTP requests, cause no events.

    Args:
        callbacks: the handlers, sync or async.

    Attributes:
        callbacks: the same, as a tuple.

    Raises:
        TypeError: if one is no instance of ``BaseCallbackHandler``; it names the value.

    Example:
        ``provider.add_span_processor(CallbackSpanProcessor([LoggingHandler()]))`` hears all spans of a provider,
        ``OpenTelemetryCallbackHandler(callbacks=[LoggingHandler()])`` those of its invocations.
    """

    def __init__(self, callbacks: Iterable[BaseCallbackHandler]) -> None:
        self.callbacks = checked_callbacks(callbacks)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Call the handlers; with runs their own handler calls them, also with those that have no span."""
        context = otel.get_current() if parent_context is None else parent_context
        run = run_starting(context)
        if run is not None:
            run.audience = run.audience.with_listeners(Scope(callbacks=self.callbacks))
        else:
            THIRD_PARTY_SPANS.start(span, context, self.callbacks)

    def on_end(self, span: ReadableSpan) -> None:
        """Call the handlers with the end of a span that is no run's."""
        THIRD_PARTY_SPANS.end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  the interface's
        """Return True: sync handlers are called at once. For async ones there is ``aflush``, in their event loop."""
        return True

    async def aflush(self, timeout: float = 10.0) -> bool:
        """Wait until the async handlers have been called with all that happened in this event loop.

        Args:
            timeout: seconds.

        Returns:
            Whether they have, in time.
        """
        return await dispatch.flush(self.callbacks, timeout)
