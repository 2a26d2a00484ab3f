"""Spans that others made, as callback events: of any library that says in attributes what its spans mean.

LangChain's runs are not here: their events follow the runs, with the live objects (see ``handler``).
"""

import contextlib
from typing import TYPE_CHECKING, Final
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from runspan import rebuild, semconv
from runspan._forking import in_forked_child
from runspan._guard import attempt
from runspan.callback_event import Event
from runspan.listeners.dispatch import dispatch, outbox_here
from runspan.listeners.live_spans import LiveSpans
from runspan.payload import Kind
from runspan.rebuild import SpanData
from runspan.runs.current_span import runs_around
from runspan.runs.run import Run
from runspan.runs.scope import only_new

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from runspan.runs.interfaces import EventSink

_MODELS: Final = (Kind.CHAT, Kind.COMPLETION)


class ThirdPartyCall:
    """What a span means to callback handlers, and where it stands among those that mean something.

    One call of a model is heard once: within a model's span, that of its SDK means the same call.

    Args:
        span_data: of the span when it starts.
        run_id: under which handlers hear of it.
        parent: the call of the span around it, if that is known.
        run: the LangChain run around it, if no call is nearer.
    """

    __slots__ = (
        "callbacks",
        "has_model_within",
        "is_within_model",
        "kind",
        "outbox",
        "parent",
        "parent_run_id",
        "run_id",
    )

    kind: Kind | None
    """None while it means nothing to callback handlers, or the same as a call that they heard of."""
    parent_run_id: UUID | None
    is_within_model: bool

    def __init__(
        self, span_data: SpanData, run_id: UUID, parent: "ThirdPartyCall | None" = None, run: Run | None = None
    ) -> None:
        self.run_id = run_id
        self.parent = parent
        self.callbacks: tuple[BaseCallbackHandler, ...] = ()
        self.has_model_within = False
        self.outbox: EventSink | None = None
        if parent is not None:
            self.is_within_model = parent.is_model or (parent.kind is None and parent.is_within_model)
            self.parent_run_id = parent.run_id if parent.kind is not None else parent.parent_run_id
        else:
            self.is_within_model = run is not None and run.is_model
            self.parent_run_id = _announced_id(run)
        self.kind = self._kind(span_data)

    @property
    def is_model(self) -> bool:
        """Whether it is announced as a call of a model."""
        return self.kind in _MODELS

    def start(self, span_data: SpanData, callbacks: tuple[BaseCallbackHandler, ...]) -> None:
        """Call handlers, once each, with the start, if the span means something by now."""
        new = only_new(callbacks, self.callbacks)
        self.callbacks += new
        if self.kind is not None and new:
            self._announce(attempt(rebuild.start_event, self.kind, span_data, default=None), new)

    def end(self, span_data: SpanData) -> None:
        """Call those who heard it start with the end; one whose meaning came late starts and ends now."""
        if self.kind is None:
            callbacks, self.callbacks = self.callbacks, ()
            self.kind = self._kind(span_data)
            self.start(span_data, callbacks)
        if self.kind is not None:
            self._announce(attempt(rebuild.end_event, self.kind, span_data, default=None), self.callbacks)

    def _kind(self, span_data: SpanData) -> Kind | None:
        kind = attempt(rebuild.kind_of, span_data, default=None)
        if kind not in _MODELS:
            return kind
        if self.is_within_model or self.has_model_within:
            return None
        above = self.parent
        while above is not None:
            above.has_model_within = True
            above = above.parent
        return kind

    def _announce(self, event: Event | None, callbacks: tuple[BaseCallbackHandler, ...]) -> None:
        if event is not None:
            ids = {"run_id": self.run_id, "parent_run_id": self.parent_run_id}
            dispatch(callbacks, Event(event.name, event.args, {**event.kwargs, **ids}), self.outbox)


class ThirdPartySpans:
    """The calls of the spans that are live."""

    def __init__(self) -> None:
        self._calls: LiveSpans[ThirdPartyCall] = LiveSpans()

    def start(self, span: "Span", context: Context, callbacks: tuple[BaseCallbackHandler, ...]) -> None:
        """Call handlers with a span that starts; several processors may bring handlers for one span.

        Raises:
            Exception: what a sync handler with ``raise_error`` raised.
        """
        span_data = _span_data(span)
        call = self._calls.get(span.get_span_context())
        if call is None:
            call = self._new_call(span, span_data, context)
        call.start(span_data, callbacks)

    def end(self, span: "ReadableSpan") -> None:
        """Call those who heard a span start with its end.

        Raises:
            Exception: what a sync handler with ``raise_error`` raised.
        """
        call = self._calls.pop(span.context)
        if call is not None:
            call.end(_span_data(span))

    def inherit(self) -> None:
        """Forget the event loops of the parent process; called in a forked child."""
        for call in self._calls.values():
            call.outbox = None

    def _new_call(self, span: "Span", span_data: SpanData, context: Context) -> ThirdPartyCall:
        parent = self._calls.get(span.parent)
        run = next(iter(runs_around(span.parent, context)), None) if parent is None else None
        ids = span.get_span_context()
        call = ThirdPartyCall(span_data, run_id_of(span_data, ids.trace_id, ids.span_id), parent, run)
        around = parent or (run.audience if run is not None else None)
        call.outbox = (around.outbox if around is not None else None) or outbox_here()
        self._calls.put(span, call)
        return call


THIRD_PARTY_SPANS: Final = ThirdPartySpans()
"""Those of the process: one table, so that nobody hears a span twice by two processors."""
in_forked_child(THIRD_PARTY_SPANS.inherit)


def run_id_of(span_data: SpanData, trace_id: int, span_id: int) -> UUID:
    """Return the id of the run that a span was recorded for, else one made of the ids of the span."""
    recorded = span_data.attributes.get(semconv.RUN_ID)
    if isinstance(recorded, str):
        with contextlib.suppress(ValueError):
            return UUID(recorded)
    return UUID(int=(trace_id % 2**64) << 64 | span_id)


def _announced_id(run: Run | None) -> UUID | None:
    """Return the id of a run that callbacks have heard of: ``runspan.invocation`` is none."""
    while run is not None and not run.audience.handlers:
        run = run.parent
    return run.run_id if run is not None else None


def _span_data(span: "ReadableSpan") -> SpanData:
    status = span.status
    is_error = status.status_code is StatusCode.ERROR
    return SpanData(
        span.name,
        span.attributes or {},
        [(event.name, event.attributes or {}) for event in span.events],
        (status.description or "") if is_error else None,
    )
