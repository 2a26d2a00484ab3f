"""Starts runs: makes a run and its span of LangChain's start event, and notifies callback handlers."""

import inspect
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from opentelemetry import context as otel
from opentelemetry.trace import Span, SpanKind

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import Attributes, only_content, without_content
from runspan.callback_event import Event
from runspan.langchain.bridge import Bridge
from runspan.langchain.content import takes_attributes
from runspan.langchain.ending import RunEnder
from runspan.langchain.history import forget_messages
from runspan.langchain.langgraph import put_into_config
from runspan.langchain.links import link_run, links_to
from runspan.langchain.prompts import note_prompt
from runspan.langchain.run_kinds import CHAIN, TOOL, RunKind, StartEvent
from runspan.langchain.start_reader import StartReader
from runspan.langchain.trace_policy import AS_THEY_ARE, dispatch_as_recorded, transforms_of
from runspan.listeners.dispatch import outbox_here
from runspan.payload import Kind, Start
from runspan.payload.writer import Writer
from runspan.runs.current_span import attach_baggage
from runspan.runs.parent import is_part
from runspan.runs.record import Record
from runspan.runs.run import Run
from runspan.runs.scope import NOBODY
from runspan.runs.starting_frame import is_in_langgraph, start_frame, starting_object, starts_graph
from runspan.runs.tracing import Tracing
from runspan.settings import Redactor

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

_HIDDEN_TAG: Final = "langsmith:hidden"
_PROMPT: Final = Kind.PROMPT
_NOTHING: Final[Attributes] = {}


class RunStarter:
    """Starts the runs of one handler, and joins those that another handler started."""

    def __init__(self, bridge: Bridge, ender: RunEnder, receive_graph_events: Callable[[], None]) -> None:
        self._bridge = bridge
        self._ender = ender
        self._receive_graph_events = receive_graph_events
        self._settings = bridge.settings
        self._reader = StartReader(bridge)
        # One for all runs, each of which keeps them while it is open.
        self._alone = (bridge,)
        self._describe_abandoned = ender.describe_abandoned

    def start(
        self, kind: RunKind, caller: FrameType, serialized: object, content: object, keywords: dict[str, Any]
    ) -> None:
        """Start a run of some kind, or join it, and notify callback handlers; the arguments are those of StartEvent.

        Raises:
            Exception: what a sync callback handler with ``raise_error`` raised; the run ends then.
        """
        if self._bridge.table.unseen != {} and attempt(self._is_part_of_unseen, kind, caller, keywords, default=False):
            return
        event = StartEvent(kind, caller, serialized, content, keywords)
        try:
            started = attempt(self._start_or_join, event, default=None)
            if started is not None:
                _notify(event, *started)
        except BaseException as error:
            self._ender.end_failed_start(event, error)
            raise

    def start_block(self, caller: FrameType) -> Run:
        """Start a run without a span and without events, to carry the scope through a block of code."""
        run_id, tracing, here = uuid4(), self._bridge.tracing, otel.get_current()
        try:
            event = StartEvent(CHAIN, caller, None, None, {"run_id": run_id})
            proxy = tracing.prepare(event, here, Record(), (), self._bridge.scope)
            tracing.start(proxy, here, "invocation", SpanKind.INTERNAL, _NOTHING, is_hidden=True)
            run = proxy.run
            run.audience = run.audience.with_outbox(outbox_here)
            return run  # noqa: TRY300  an interrupt may come here, too
        except BaseException:
            if (interrupted := tracing.table.find(run_id)) is not None:
                tracing.table.close(interrupted)
            raise

    def _is_part_of_unseen(self, kind: RunKind, caller: FrameType, keywords: Mapping[str, Any]) -> bool:
        """Return whether an unseen run stands for the run that starts: who asks for that finds the same by either."""
        table, run_id = self._bridge.table, keywords.get("run_id")
        run = table.find_unseen(keywords.get("parent_run_id"))
        if run is None or run.audience.handlers is not self._alone or run.audience.scope is not NOBODY:
            return False
        if run_id is None or table.find(run_id) is not None or not is_part(run, otel.get_current()):
            return False
        # LangGraph reports interrupts of a graph, which is linked to by whoever resumes it.
        if kind is CHAIN and starts_graph(start_frame(caller)[0]):
            return False
        return table.add_part(run, run_id)

    def _start_or_join(self, event: StartEvent) -> "tuple[Run, tuple[BaseCallbackHandler, ...]] | None":
        """Return the run and the callback handlers to notify of its start, None if there are none."""
        if event.run_id is None:
            raise ValueError("LangChain gave no run_id, so no end can be matched to this start")
        if self._bridge.is_shut_down:
            return None
        if event.kind is CHAIN and is_in_langgraph(event.starter):
            self._read_langgraph(event)
        tracing = self._bridge.tracing
        run = tracing.table.find(event.run_id)
        if run is not None:
            callbacks = self._join(run, event)
        else:
            run = self._start(tracing, event)
            callbacks = run.audience.scope.callbacks
        return (run, callbacks) if callbacks else None

    def _read_langgraph(self, event: StartEvent) -> None:
        """Add to an event what LangGraph's object that starts says of its run."""
        starting = starting_object(event.starter)
        if starts_graph(event.starter):
            event.graph = starting
            attempt(self._receive_graph_events, default=None)
            if self._bridge.added is not None:
                attempt(put_into_config, self._bridge.added, event.starter, default=None)
        transforms = attempt(transforms_of, starting, default=AS_THEY_ARE)
        event.transform_inputs, event.transform_outputs = transforms

    def _join(self, run: Run, event: StartEvent) -> "tuple[BaseCallbackHandler, ...]":
        """Add this handler to a run that another one started; the strictest of them decides about content."""
        bridge = self._bridge
        if bridge.decides_content:
            if run.record.is_content_decided:
                self._restrict_content(run)
            else:
                self._decide_content(run, event)
        if not all(any(each is known for known in run.record.redactors) for each in bridge.redactors):
            _redact(run, bridge.redactors)
        new = bridge.scope.without(run.audience.scope)
        run.audience = run.audience.with_handler(bridge).with_listeners(new)
        if new is not NOBODY and run.table.router is not None:
            run.table.router.join(run, new)
        if new.baggage:
            attach_baggage(run)
        return new.callbacks

    def _restrict_content(self, run: Run) -> None:
        """Leave the content that this handler allows, too."""
        bridge = self._bridge
        if "span" in run.record.captures - bridge.captures and takes_attributes(run):
            # An attribute of a span can't be removed, only overwritten.
            content = only_content(run.start_attributes)
            run.span.set_attributes({name: "" if isinstance(value, str) else [] for name, value in content.items()})
            run.start_attributes = without_content(run.start_attributes)
            forget_messages(run)
        run.record.captures &= bridge.captures

    def _decide_content(self, run: Run, event: StartEvent) -> None:
        """Record the content that this handler allows of a run whose other handlers leave that to it."""
        bridge, record = self._bridge, run.record
        record.captures, record.is_content_decided = bridge.captures, True
        if not bridge.captures or run.is_unseen:
            return
        start = self._reader.described(event)
        if start.kind is _PROMPT:
            note_prompt(run, event)
        _redact(run, bridge.redactors)
        own = attempt(self._reader.add_origin, start.attributes, run, event, default=_NOTHING)
        attributes = self._reader.with_surroundings(run, event, start.attributes, own)
        content = Writer(redactors=record.redactors).redacted(only_content(attributes))
        if "span" in bridge.captures:
            run.start_attributes = {**run.start_attributes, **content}
        record.add(content)
        self._reader.record_content(run, event)

    def _start(self, tracing: Tracing, event: StartEvent) -> Run:
        """Start a run, which becomes current, and record what it is given; nothing is read for one that is unseen."""
        kind, bridge, here = event.kind, self._bridge, otel.get_current()
        record = Record(
            bridge.captures,
            bridge.redactors,
            self._describe_abandoned,
            event.transform_outputs,
            is_content_decided=bridge.decides_content,
        )
        proxy = tracing.prepare(event, here, record, self._alone, bridge.scope)
        run = proxy.run
        if self._is_unseen_before(tracing, run):
            # Below one that this handler found to be unseen no span is started: its ids would be in no other.
            is_hidden = run.parent is not None and self._is_unseen_here(run.parent)
            tracing.start(proxy, here, kind.run_type, kind.span_kind, _NOTHING, is_hidden=is_hidden)
            tracing.table.add_unseen(run)
            return run
        start = self._reader.described(event)
        attributes = self._reader.start_attributes(run, event, start)
        links = () if kind.is_chain else links_to(run, event)
        is_hidden = self._is_hidden(run, event, start)
        tracing.start(proxy, here, start.name, kind.span_kind, attributes, links=links, is_hidden=is_hidden)
        if self._is_unseen_within(tracing, run.span):
            tracing.table.add_unseen(run)
            return run
        if run.parent is not None or event.graph is not None or kind is TOOL:
            attempt(link_run, run, event, default=None)
        if start.kind is _PROMPT:
            note_prompt(run, event)
        if bridge.captures:
            self._reader.record_content(run, event)
        return run

    def _is_unseen_before(self, tracing: Tracing, run: Run) -> bool:
        """Return whether it is certain before the span of a run starts that nothing will be recorded of it."""
        around = run.parent
        if around is None or run.span is not around.span:  # a span of the user's
            return self._is_unseen_within(tracing, run.span)
        return around.is_unseen and (self._is_unseen_here(around) or self._is_unseen_within(tracing, run.span))

    def _is_unseen_here(self, run: Run) -> bool:
        """Return whether this handler found a run to be unseen."""
        return run.is_unseen and run.audience.speaker is self._bridge

    def _is_unseen_within(self, tracing: Tracing, span: Span) -> bool:
        """Return whether nothing is recorded of a span and of what starts below it: no span, no metric, no event."""
        if span.is_recording() or not tracing.is_dropped_below(span.get_span_context()):
            return False
        return not self._bridge.signals.are_taken

    def _is_hidden(self, run: Run, event: StartEvent, start: Start) -> bool:
        """Return whether a run gets no span at the level of detail that is set."""
        detail = self._settings.detail
        if detail == "all":
            return False
        for tag in event.tags or ():
            # By its type: another kind of tag may have a == that is no truth value, such as an array's.
            if type(tag) is str and tag == _HIDDEN_TAG:
                return True
        if detail != "minimal" or semconv.OPERATION in start.attributes:
            return False
        return event.parent_run_id is not None and run.parent is not None


def _redact(run: Run, redactors: tuple[Redactor, ...]) -> None:
    """Have another handler redact what is recorded of a run already; its span keeps none of what that changes."""
    run.record.redactors, run.record.decided_captures = run.record.redactors + redactors, None
    write = Writer(redactors=redactors)
    run.record.attributes = write.redacted(run.record.attributes)
    content = write.redacted(run.start_attributes)
    changed = {name: value for name, value in content.items() if value != run.start_attributes[name]}
    run.start_attributes = content
    if changed and takes_attributes(run):
        run.span.set_attributes(changed)


def _notify(event: StartEvent, run: Run, callbacks: "tuple[BaseCallbackHandler, ...]") -> None:
    if event.caller.f_code.co_flags & inspect.CO_COROUTINE:
        run.audience = run.audience.with_outbox(outbox_here)
    serialized = attempt(event.described_object, default={})
    start = Event(event.kind.callback, (serialized, event.content), event.keywords)
    dispatch_as_recorded(callbacks, start, run.audience.outbox, event.transform_inputs)
