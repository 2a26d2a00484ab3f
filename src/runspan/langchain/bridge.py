"""What one handler has: the runs that it handles, who listens to them, what it records."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import SpanContext, TracerProvider
from opentelemetry.util.types import AttributeValue

from runspan.attributes import Attributes
from runspan.callback_event import Event
from runspan.langchain.trace_policy import Transform, dispatch_as_recorded
from runspan.listeners.dispatch import outbox_here
from runspan.payload.blobs import STORE
from runspan.payload.structure import is_structure_recorded, structured
from runspan.runs.audience import Recipients
from runspan.runs.scope import NOBODY, Scope
from runspan.runs.tracing import Tracing
from runspan.settings import Settings
from runspan.signals.signals import Signals

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler
    from opentelemetry.sdk.trace import SpanProcessor

    from runspan.blob_store import BlobStore
    from runspan.listeners.listeners import Listeners
    from runspan.runs.table import RunTable

_T = TypeVar("_T")
# OpenTelemetry's SDK cuts texts in the middle of their JSON; in characters, which are never more than the bytes.
_LENGTH_LIMITS: Final = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")


class Bridge:
    """What starting, ending and forwarding share of one handler; runs know the handler by it.

    Args:
        tracer_provider: where spans start; the global provider, whichever it is by then, if None.
        scope: who listens to the invocations of the handler.
        settings: what to record.
        signals: where metrics and events of the runs go.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None, scope: Scope, settings: Settings, signals: Signals
    ) -> None:
        self.scope = scope
        self.signals = signals
        self.settings = settings
        self.captures = settings.content_destinations
        self.redactors = settings.redactors
        self.decides_content = True
        """Whether its settings count for content where other handlers of a run have theirs."""
        self.added: BaseCallbackHandler | None = None
        """The handler itself, where LangChain adds it to runs that it is not passed to."""
        self.is_shut_down = False
        self.attribute_bytes = _attribute_bytes(settings)
        """The most that an attribute of content takes."""
        self._store = _store(settings.blob_store)
        self._is_structured = settings.content_form == "structured" and is_structure_recorded()
        self._tracer_provider = tracer_provider
        self._tracing = Tracing(self._provider())
        self.table: RunTable = self._tracing.table
        """The runs of the provider that was in use when the last run started."""
        self._listen()

    @property
    def tracing(self) -> Tracing:
        """Where runs start now: the runs and the tracer of the provider that is in use."""
        if self._tracing.provider is self._tracer_provider:
            return self._tracing
        provider = self._provider()
        if provider is not self._tracing.provider:
            # The application may set the global provider after this handler was made.
            self._tracing = self._tracing.follow(provider)
            self.table = self._tracing.table
            self._listen()
        return self._tracing

    def open_runs(self) -> int:
        """Return how many runs of this handler have begun and not ended."""
        own = [run for run in self.table.open_runs() if self in run.audience.handlers]
        return sum(1 + (len(run.parts) if run.is_unseen else 0) for run in own)

    def span_of(self, run_id: UUID) -> SpanContext | None:
        """Return the span of a run that is open or started not long ago; None if it has no ids."""
        span = self.table.span_of(run_id)
        return span if span is not None and span.is_valid else None

    def close(self) -> None:
        """Leave the runs that are open, end those that nobody else handles, start no further ones."""
        self.is_shut_down = True
        for run in reversed(list(self.table.open_runs())):
            if self in run.audience.handlers:
                run.audience = run.audience.without(self)
                if not run.audience.handlers:
                    run.table.abandon(run)

    @property
    def store(self) -> "BlobStore | None":
        """Where the media of the handler's runs are kept."""
        return self._store

    def reading(self, read: Callable[..., _T], *arguments: Any) -> _T:
        """Call what reads content, or may; media in it go to the store of this handler."""
        if self._store is None and STORE.get() is None:
            return read(*arguments)
        token = STORE.set(self._store.put if self._store is not None else None)
        try:
            return read(*arguments)
        finally:
            STORE.reset(token)

    def formatted(self, attributes: Attributes) -> Attributes:
        """Return attributes in the form that the settings want: content as JSON, or as lists and objects."""
        return structured(attributes) if self._is_structured else attributes

    def _listen(self) -> None:
        if self.scope is not NOBODY:
            from runspan.listeners.router import listen  # noqa: PLC0415  only listeners need the SDK

            listen(self._tracing.table, self._tracing.provider)

    def _provider(self) -> TracerProvider:
        provider = self._tracer_provider or trace.get_tracer_provider()
        if self.scope is NOBODY:
            return provider
        from runspan.listeners.router import provider_to_hear  # noqa: PLC0415  only listeners need the SDK

        return provider_to_hear(provider, is_named=self._tracer_provider is not None)


def _attribute_bytes(settings: Settings) -> int:
    for name in _LENGTH_LIMITS:
        limit = os.environ.get(name, "").strip()
        if limit.isdecimal():
            return min(int(limit), settings.max_attribute_bytes)
    return settings.max_attribute_bytes


def _store(url: str | None) -> "BlobStore | None":
    if url is None:
        return None
    from runspan.blob_store import store_at  # noqa: PLC0415  few need it, and it brings threads

    return store_at(url)


def listeners_of(
    callbacks: "Iterable[BaseCallbackHandler]",
    span_processors: "Iterable[SpanProcessor]",
    attributes: Mapping[str, AttributeValue] | None,
    propagate: Iterable[str],
) -> "Listeners | None":
    """Return the listeners that a handler is given, None if it is given none."""
    if callbacks == () and span_processors == () and attributes is None and propagate == ():
        return None
    from runspan.listeners.listeners import Listeners  # noqa: PLC0415  only listeners need the SDK

    return Listeners(callbacks, span_processors, {} if attributes is None else attributes, propagate)


def notify(recipients: Recipients, event: Event, transform: Transform | None = None) -> None:
    """Call the callback handlers among recipients with an event, the async ones by way of the outbox.

    Args:
        recipients: who gets it.
        event: the event.
        transform: how tracers are to have its last argument.

    Raises:
        Exception: what a sync handler with ``raise_error`` raised, as with LangChain.
    """
    is_outbox_gone = recipients.outbox is None and recipients.had_outbox
    outbox = outbox_here() if is_outbox_gone else recipients.outbox
    dispatch_as_recorded(recipients.callbacks, event, outbox, transform)
