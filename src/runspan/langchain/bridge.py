"""Makes runs of LangChain's events: ``payload`` reads an event's attributes, ``runs`` starts and ends its span.

Then it passes the event on, with the live objects, to the callback handlers in whose scope the run is.
"""

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID, uuid4

from opentelemetry import trace
from opentelemetry.trace import SpanKind, TracerProvider

from runspan import payload, semconv
from runspan._guard import attempt
from runspan.attributes import Attributes
from runspan.callback_event import Event
from runspan.langchain import links, run_ends
from runspan.langchain.agents import executing_agent
from runspan.langchain.langgraph import receives_graph_events
from runspan.langchain.run_kinds import CHAT, TOOL, RunKind, with_name
from runspan.listeners.dispatch import dispatch, outbox_here
from runspan.payload import Start
from runspan.payload.providers import legacy_names
from runspan.payload.serialize import is_structure_recorded, structured
from runspan.payload.stored import stored_items
from runspan.payload.tools import tool_definitions
from runspan.runs.run import Audience, Run, RunTable
from runspan.runs.scope import NOBODY, Scope
from runspan.runs.tracing import Tracing
from runspan.settings import Settings
from runspan.signals.signals import Signals

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

    from runspan.runs.interfaces import EventSink

_HIDDEN_TAG: Final = "langsmith:hidden"
_NOTHING: Final[Attributes] = {}
# What a span was given can't be taken back, but for another value.
_NO_TAGS: Final[Attributes] = {semconv.TAGS: []}

_T = TypeVar("_T")
_Event = dict[str, Any]
_Args = tuple[Any, ...]


class Bridge:
    """What one handler does with the events it is called with.

    No exception leaves it but one: that of a sync callback handler with ``raise_error``.

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
        self.is_shut_down = False
        self._tracer_provider = tracer_provider
        self._captures = settings.capture_content == "span"
        self._is_structured = settings.content_form == "structured" and is_structure_recorded()
        self._tracing = Tracing(self._provider())
        self._listen()

    @property
    def tracing(self) -> Tracing:
        """The runs and spans of the provider that counts now."""
        provider = self._provider()
        if provider is not self._tracing.provider:
            # The application may set the global provider after this handler was made.
            self._tracing = self._tracing.follow(provider)
            self._listen()
        return self._tracing

    def start(
        self,
        caller: FrameType,
        kind: RunKind,
        args: _Args,
        event: _Event,
        *,
        facts: Iterable[object],
        content: Iterable[object] | None = None,
    ) -> None:
        """Start the run of an event, or join the one that another handler started."""
        try:
            begun = attempt(self._begin, caller, kind, event, facts, content, default=None)
            if begun is not None:
                run, callbacks = begun
                if run.outbox is None and caller.f_code.co_flags & inspect.CO_COROUTINE:
                    run.outbox = outbox_here()
                serialized = attempt(with_name, args[0], event.get("name"), default={})
                dispatch(callbacks, Event(kind.callback, (serialized, *args[1:]), event), run.outbox)
        except BaseException as error:
            self._give_up(event, error)
            raise

    def end(self, name: str, args: _Args, event: _Event, describe: Callable[..., Attributes] | None = None) -> None:
        """End the run of an event; ``describe`` returns the attributes of its result."""
        at_ns = time.time_ns()
        self._conclude(Event(name, args, event), lambda run: self._end(run, describe, args[0], at_ns))

    def fail(self, name: str, args: _Args, event: _Event) -> None:
        """End the run of an event without a result; a model may have come to a part of it."""
        at_ns = time.time_ns()
        self._conclude(Event(name, args, event), lambda run: self._fail(run, args[0], event.get("response"), at_ns))

    def pass_on(self, name: str, args: _Args, event: _Event, chunk: object = None, *, is_chunk: bool = False) -> None:
        """Pass on what happens in the midst of a run; ``chunk`` is what a model streamed."""
        audience = attempt(self._note, event.get("run_id"), name, args, chunk, is_chunk, default=None)
        if audience is not None:
            dispatch(audience.callbacks, Event(name, args, event), _outbox_of(audience))

    def lifecycle(self, name: str, event: Any, note: Callable[[Run, Any], None]) -> None:
        """Note that a graph was interrupted or resumed, and notify callback handlers of LangGraph's kind."""
        audience = attempt(self._note_lifecycle, name, event, note, default=None)
        if audience is not None:
            dispatch(
                list(filter(receives_graph_events, audience.callbacks)), Event(name, (event,), {}), audience.outbox
            )

    def open_block(self, caller: FrameType) -> Run:
        """Start a run without a span and without events, to carry the scope through a block of code."""
        run_id, tracing = uuid4(), self.tracing
        try:
            run = tracing.begin(
                caller,
                run_id,
                None,
                name="invocation",
                kind=SpanKind.INTERNAL,
                attributes=lambda _: _NOTHING,
                is_chain=True,
                is_hidden=True,
                scope=self.scope,
            )
            run.outbox = run.outbox or outbox_here()
            return run  # noqa: TRY300  an interrupt may come here, too
        except BaseException:
            if (interrupted := tracing.table.find(run_id)) is not None:
                tracing.table.close(interrupted)
            raise

    def open_runs(self) -> int:
        """Return how many runs of this handler have begun and not ended."""
        return sum(self in run.handlers for run in self._tracing.table.open_runs())

    def trace_id(self, run_id: UUID) -> int | None:
        """Return the trace id of a run that is open or started not long ago."""
        return self._tracing.table.trace_id(run_id)

    def close(self) -> None:
        """Leave the runs that are open, end those that nobody else handles, start no further ones."""
        self.is_shut_down = True
        for run in reversed(list(self._tracing.table.open_runs())):
            if self in run.handlers:
                run.handlers = tuple(each for each in run.handlers if each is not self)
                if not run.handlers:
                    run.table.abandon(run)

    def _listen(self) -> None:
        if self.scope is not NOBODY:
            from runspan.listeners.router import listen  # noqa: PLC0415  who brings no listeners needs no SDK

            listen(self._tracing.table, self._tracing.provider)

    def _provider(self) -> TracerProvider:
        provider = self._tracer_provider or trace.get_tracer_provider()
        if self.scope is NOBODY:
            return provider
        from runspan.listeners.router import provider_to_hear  # noqa: PLC0415  who brings no listeners needs no SDK

        return provider_to_hear(provider, is_named=self._tracer_provider is not None)

    def _begin(
        self,
        caller: FrameType,
        kind: RunKind,
        event: _Event,
        facts: Iterable[object],
        content: Iterable[object] | None,
    ) -> "tuple[Run, tuple[BaseCallbackHandler, ...]] | None":
        """Return the run and the callback handlers to notify of its start, None if there are none."""
        run_id = event["run_id"]
        if run_id is None:
            raise ValueError("LangChain gave no run_id, so the run can't be distinguished from others")
        if self.is_shut_down:
            return None
        tracing = self.tracing
        run = tracing.table.find(run_id)
        if run is not None:
            callbacks = self._join(run)
        else:
            run = self._new_run(tracing, caller, kind, event, facts=facts, content=content)
            callbacks = run.scope.callbacks
        return (run, callbacks) if callbacks else None

    def _join(self, run: Run) -> "tuple[BaseCallbackHandler, ...]":
        """Add this handler to a run that another one started; the strictest of them decides about content."""
        run.handlers = (*(each for each in run.handlers if each is not self), self)
        if run.captures and not self._captures:
            run.captures, run.attributes = False, _NO_TAGS
        new = self.scope.without(run.scope)
        if new is not NOBODY:
            run.scope = run.scope.joined(new)
            if run.table.router is not None:
                run.table.router.join(run, new)
        return new.callbacks

    def _new_run(
        self,
        tracing: Tracing,
        caller: FrameType,
        kind: RunKind,
        event: _Event,
        *,
        facts: Iterable[object],
        content: Iterable[object] | None,
    ) -> Run:
        start = attempt(kind.describe_start, *facts, default=None) or payload.unknown_start(kind.run_type)
        call_id = event.get("tool_call_id")
        call_id = call_id if isinstance(call_id, str) else None
        attributes = self._attributes(start, event)
        answered_calls: Sequence[str] = ()
        if kind is CHAT and content is not None:
            answered_calls = attempt(_called_with, payload.answered_call_ids, content, default=())
        run = tracing.begin(
            caller,
            event["run_id"],
            event.get("parent_run_id"),
            name=start.name,
            kind=kind.span_kind,
            attributes=lambda run: {**attributes, **executing_agent(run)} if kind is TOOL else attributes,
            is_chain=kind.is_chain,
            is_hidden=self._is_hidden(start, event),
            scope=self.scope,
            links=links.links_to(call_id, answered_calls),
        )
        run.handlers = (self,)
        run.captures = self._captures
        run.is_model, run.partial = kind.is_model, self._partial
        attempt(links.link_run, run, caller, event, content, call_id, default=None)
        if content is not None and self._captures and _takes_attributes(run):
            inputs = attempt(_called_with, kind.describe_input, content, default=_NOTHING)
            tools = attempt(tool_definitions, event.get("invocation_params"), default=_NOTHING)
            run.attributes = self._formed({**inputs, **tools} if tools else inputs)
        return run

    def _attributes(self, start: Start, event: _Event) -> Attributes:
        tags = event.get("tags") if self._captures else None
        metadata = event.get("metadata")
        origin = attempt(payload.origin, event["run_id"], metadata, tags, default=_NOTHING)
        attributes = {**start.attributes, **origin}
        if metadata is not None and semconv.OPERATION in start.attributes:
            attributes.update(attempt(payload.conversation, metadata, default=_NOTHING))
        if self.settings.semconv == "latest_and_legacy":
            attributes.update(legacy_names(start.attributes))
        if metadata is not None and self.settings.metadata_keys:
            attributes.update(
                attempt(payload.selected_metadata, metadata, self.settings.metadata_keys, default=_NOTHING)
            )
        return attributes

    def _is_hidden(self, start: Start, event: _Event) -> bool:
        """Tell whether a run gets no span at the level of detail that is set."""
        if self.settings.detail == "all":
            return False
        # By their type: another kind of tag may have a == that is no truth value, such as an array's.
        if any(type(tag) is str and tag == _HIDDEN_TAG for tag in stored_items(event.get("tags")) or ()):
            return True
        is_top = event.get("parent_run_id") is None
        return self.settings.detail == "minimal" and semconv.OPERATION not in start.attributes and not is_top

    def _give_up(self, event: _Event, error: BaseException) -> None:
        """End the run whose start let an exception out: LangChain gives up before it begins, and will not end it."""
        table = self._tracing.table
        run = attempt(table.take, event.get("run_id"), event, default=None)
        if run is not None:
            attempt(self._fail, run, error, None, time.time_ns(), default=None)
            table.finish(run, event)

    def _conclude(self, event: Event, end: Callable[[Run], None]) -> None:
        """Notify callback handlers of the end of a run and end it, also if an interrupt comes in between."""
        run = attempt(self._tracing.table.find, event.kwargs.get("run_id"), default=None)
        try:
            self._notify_and_end(event, end)
        except BaseException as error:
            if run is not None:
                run.table.finish(run, event, {semconv.ERROR_TYPE: type(error).__name__})
            raise

    def _notify_and_end(self, event: Event, end: Callable[[Run], None]) -> None:
        # The span ends last: what an exporter prints comes after what handlers print.
        table = self._tracing.table
        run, audience = attempt(self._take, table, event, default=(None, None))
        try:
            if audience is not None:
                dispatch(audience.callbacks, event, _outbox_of(audience))
        finally:
            if run is not None:
                attempt(end, run, default=None)
                table.finish(run, event)

    def _take(self, table: RunTable, event: Event) -> tuple[Run | None, Audience | None]:
        run_id = event.kwargs.get("run_id")
        run = table.take(run_id, event)
        return (run, run.audience()) if run is not None else (None, table.take_abandoned(run_id))

    def _end(self, run: Run, describe: Callable[..., Attributes] | None, value: object, at_ns: int) -> None:
        attributes = run_ends.describe_result(run, describe, value, captures=run.captures and _takes_attributes(run))
        requested_calls = attempt(payload.requested_call_ids, value, default=()) if run.is_model else ()
        attributes = {**attributes, **attempt(links.finish_links, run, requested_calls, attributes, default=_NOTHING)}
        is_error = semconv.ERROR_TYPE in attributes and self.settings.returned_tool_errors == "error_status"
        self.signals.ended(run, attributes, at_ns)
        run.table.end(run, self._formed(attributes), "" if is_error else None, at_ns)

    def _fail(self, run: Run, error: BaseException, response: object, at_ns: int) -> None:
        attributes, description = run_ends.describe_failure(run, error, response)
        attributes = {**attributes, **attempt(links.finish_links, run, (), attributes, default=_NOTHING)}
        self.signals.ended(run, attributes, at_ns, error)
        run.table.end(run, self._formed(attributes), description, at_ns)

    def _partial(self, run: Run, at_ns: int) -> Attributes:
        attributes = run_ends.describe_partial_response(run) if run.is_model else _NOTHING
        attributes = {**attributes, **attempt(links.finish_links, run, (), attributes, default=_NOTHING)}
        self.signals.ended(run, attributes, at_ns)
        return self._formed(attributes)

    def _formed(self, attributes: Attributes) -> Attributes:
        return structured(attributes) if self._is_structured else attributes

    def _note_lifecycle(self, name: str, event: Any, note: Callable[[Run, Any], None]) -> Audience | None:
        run = self._tracing.table.find(event.run_id)
        if run is None or run.handlers[:1] != (self,):
            return None
        note(run, event)
        self.signals.happened(run, name, (event,))
        return run.audience()

    def _note(self, run_id: UUID | None, name: str, args: _Args, chunk: object, is_chunk: bool) -> Audience | None:
        table = self._tracing.table
        run = table.find(run_id)
        if run is not None and run.handlers and run.handlers[0] is self:
            if is_chunk:
                _note_chunk(run, chunk)
            else:
                self.signals.happened(run, name, args)
        audience = table.audience(run_id)
        return audience if audience is not None and audience.speaker is self else None


def _outbox_of(audience: Audience) -> "EventSink | None":
    return outbox_here() if audience.outbox is None and audience.had_outbox else audience.outbox


def _note_chunk(run: Run, chunk: object) -> None:
    at_ns = time.time_ns()
    run.first_chunk_ns = run.first_chunk_ns or at_ns
    run.chunks.append(chunk)
    run.chunk_ns.append(at_ns)


def _called_with(describe: Callable[..., _T], values: Iterable[object]) -> _T:
    return describe(*values)


def _takes_attributes(run: Run) -> bool:
    return run.owns_span and run.span.is_recording()
