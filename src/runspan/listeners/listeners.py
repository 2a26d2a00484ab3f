"""The listeners that one handler brings: the scope of its invocations, and their end."""

import threading
import time
from collections.abc import Iterable, Mapping

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.util.types import AttributeValue

from runspan._guard import attempt
from runspan.listeners import dispatch
from runspan.listeners.callback_processor import CallbackSpanProcessor
from runspan.listeners.invocation_attributes import InvocationAttributes, checked_attributes, checked_baggage
from runspan.listeners.validation import checked_callbacks, checked_processors
from runspan.runs.scope import Scope, only_new


class Listeners:
    """Callback handlers and span processors; a ``CallbackSpanProcessor`` is as good as its callback handlers.

    Args:
        callbacks: the callback handlers.
        span_processors: the span processors.
        attributes: what each span of their scope gets.
        propagate: the names of those that go into the baggage.

    Raises:
        TypeError: if one is of the wrong type; it names the value.
        ValueError: if what is to be propagated can't be.
    """

    def __init__(
        self,
        callbacks: Iterable[BaseCallbackHandler],
        span_processors: Iterable[SpanProcessor],
        attributes: Mapping[str, AttributeValue],
        propagate: Iterable[str],
    ) -> None:
        self.processors = only_new(checked_processors(span_processors), ())
        heard = list(checked_callbacks(callbacks))
        for processor in self.processors:
            if type(processor) is CallbackSpanProcessor:
                heard.extend(processor.callbacks)
        spans = tuple(each for each in self.processors if type(each) is not CallbackSpanProcessor)
        attributes = checked_attributes(attributes)
        baggage = checked_baggage(propagate, attributes)
        setters = (InvocationAttributes(attributes),) if attributes else ()
        # First, so that the others find the attributes set.
        self.scope = Scope((*setters, *spans), only_new(heard, ()), baggage)

    async def aflush(self, timeout: float) -> bool:
        """Wait until the async handlers have been called with all that happened in this event loop."""
        return await dispatch.flush(self.scope.callbacks, timeout)

    def shutdown(self, timeout: float) -> None:
        """Shut the span processors down, in bounded time."""
        deadline = time.monotonic() + timeout
        threads = [
            threading.Thread(
                target=attempt, args=(each.shutdown,), kwargs={"default": None}, name="runspan-shutdown", daemon=True
            )
            for each in self.processors
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
