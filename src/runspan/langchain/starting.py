"""Starts runs: makes a run and its span of LangChain's start event, and notifies callback handlers."""

import inspect
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AnyValue

from runspan import payload, semconv
from runspan._guard import attempt
from runspan.attributes import Attributes, only_content, without_content
from runspan.callback_event import Event
from runspan.langchain.agents import executing_agent
from runspan.langchain.bridge import Bridge
from runspan.langchain.content import span_writer, takes_attributes
from runspan.langchain.ending import RunEnder
from runspan.langchain.history import forget_messages, new_messages
from runspan.langchain.links import link_run, links_to
from runspan.langchain.prompts import note_prompt, prompt_of, prompt_variables
from runspan.langchain.run_kinds import CHAT, TOOL, StartEvent
from runspan.langchain.trace_policy import dispatch_as_recorded
from runspan.listeners.dispatch import outbox_here
from runspan.payload import Kind, Start
from runspan.payload.metadata import with_configured
from runspan.payload.providers import legacy_names
from runspan.payload.request_content import request_content
from runspan.payload.stored import stored_items
from runspan.payload.writer import Writer
from runspan.runs.current_span import attach_baggage
from runspan.runs.record import Record
from runspan.runs.run import Run
from runspan.runs.scope import NOBODY
from runspan.runs.starting_frame import configurable_at, start_frames
from runspan.runs.tracing import SpanStart, Tracing
from runspan.settings import Redactor

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

_HIDDEN_TAG: Final = "langsmith:hidden"
_PROMPT: Final = str(Kind.PROMPT)
_INVOCATION: Final = frozenset(semconv.INVOCATION)
_NOTHING: Final[Attributes] = {}


class RunStarter:
    """Starts the runs of one handler, and joins those that another handler started."""

    def __init__(self, bridge: Bridge, ender: RunEnder) -> None:
        self._bridge = bridge
        self._ender = ender
        self._settings = bridge.settings
        self._has_legacy_names = bridge.settings.semconv == "latest_and_legacy"
        # One for all runs, each of which keeps them while it is open.
        self._alone = (bridge,)
        self._describe_abandoned = ender.describe_abandoned

    def start(self, event: StartEvent) -> None:
        """Start the run of an event, or join it, and notify callback handlers.

        Raises:
            Exception: what a sync callback handler with ``raise_error`` raised; the run ends then.
        """
        try:
            started = attempt(self._start_or_join, event, default=None)
            if started is not None:
                _notify(event, *started)
        except BaseException as error:
            self._ender.end_failed_start(event, error)
            raise

    def start_block(self, caller: FrameType) -> Run:
        """Start a run without a span and without events, to carry the scope through a block of code."""
        run_id, tracing = uuid4(), self._bridge.tracing
        try:
            run = tracing.begin(
                start_frames(caller),
                run_id,
                None,
                lambda _: SpanStart("invocation", SpanKind.INTERNAL, _NOTHING, is_hidden=True),
                is_chain=True,
                scope=self._bridge.scope,
            )
            run.audience.ensure_outbox(outbox_here)
            return run  # noqa: TRY300  an interrupt may come here, too
        except BaseException:
            if (interrupted := tracing.table.find(run_id)) is not None:
                tracing.table.close(interrupted)
            raise

    def _start_or_join(self, event: StartEvent) -> "tuple[Run, tuple[BaseCallbackHandler, ...]] | None":
        """Return the run and the callback handlers to notify of its start, None if there are none."""
        if event.run_id is None:
            raise ValueError("LangChain gave no run_id, so no end can be matched to this start")
        if self._bridge.is_shut_down:
            return None
        tracing = self._bridge.tracing
        run = tracing.table.find(event.run_id)
        if run is not None:
            callbacks = self._join(run, event)
        else:
            run = self._start(tracing, event.run_id, event)
            callbacks = run.audience.scope.callbacks
        return (run, callbacks) if callbacks else None

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
        new = run.audience.join(bridge, bridge.scope)
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
        if run.start_attributes.get(semconv.RUN_TYPE) == _PROMPT:
            note_prompt(run, event)
        _redact(run, bridge.redactors)
        attributes = self._attributes(event, self._described(event))
        content = Writer(redactors=record.redactors).redacted(
            only_content(self._with_surroundings(run, event, attributes))
        )
        if "span" in bridge.captures:
            run.start_attributes = {**run.start_attributes, **content}
        record.add(content)
        bridge.reading(self._record_content, run, event)

    def _described(self, event: StartEvent) -> Start:
        return attempt(event.kind.describe_start, event, default=None) or payload.unknown_start(event.kind.run_type)

    def _start(self, tracing: Tracing, run_id: UUID, event: StartEvent) -> Run:
        """Start a run, which becomes current, and record what it is given."""
        kind, bridge = event.kind, self._bridge
        run = tracing.begin(
            event.frames,
            run_id,
            event.parent_run_id,
            partial(self._span_start, tracing, event),
            is_chain=kind.is_chain,
            is_model=kind.is_model,
            record=Record(
                bridge.captures,
                bridge.redactors,
                self._describe_abandoned,
                event.transform_outputs,
                is_content_decided=bridge.decides_content,
            ),
            handlers=self._alone,
            scope=bridge.scope,
        )
        run.is_unseen = run.is_unseen or self._is_unseen_within(tracing, run.span)
        if not run.is_unseen:
            attempt(link_run, run, event, default=None)
            if run.start_attributes.get(semconv.RUN_TYPE) == _PROMPT:
                note_prompt(run, event)
            if bridge.captures:
                bridge.reading(self._record_content, run, event)
        return run

    def _span_start(self, tracing: Tracing, event: StartEvent, run: Run) -> SpanStart:
        """Return what the span of a run starts with; nothing is read for one that nobody is to see."""
        kind, captures = event.kind, self._bridge.captures
        # Below a run that this handler found to be unseen no span is started: its ids would be in no other.
        is_below_unseen = (
            run.parent is not None and run.parent.is_unseen and run.parent.audience.speaker is self._bridge
        )
        run.is_unseen = is_below_unseen or self._is_unseen_within(tracing, run.span)
        if run.is_unseen:
            return SpanStart(kind.run_type, kind.span_kind, _NOTHING, is_hidden=is_below_unseen)
        start = self._described(event)
        attributes = self._redacted(self._attributes(event, start))
        if "span" not in captures:
            if captures:
                run.record.add(only_content(attributes))  # for events
            attributes = without_content(attributes)
        return SpanStart(
            start.name,
            kind.span_kind,
            self._with_surroundings(run, event, attributes),
            links_to(run, event),
            self._is_hidden(event, start),
        )

    def _is_unseen_within(self, tracing: Tracing, span: Span) -> bool:
        """Return whether nothing is recorded of a span and of what starts below it: no span, no metric, no event."""
        if span.is_recording() or not tracing.is_dropped_below(span.get_span_context()):
            return False
        return not self._bridge.signals.are_taken

    def _attributes(self, event: StartEvent, start: Start) -> dict[str, AnyValue]:
        """Return what the span has from its start, so that samplers see it."""
        metadata = event.metadata
        if event.parent_run_id is None:
            find = partial(configurable_at, event.frames)
            metadata = event.metadata = attempt(with_configured, metadata, find, default=metadata)
        origin = attempt(payload.origin, event.run_id, metadata, event.tags, default=_NOTHING)
        attributes = {**start.attributes, **origin}
        if self._has_legacy_names:
            attributes.update(legacy_names(start.attributes))
        if metadata is None:
            return attributes
        if semconv.OPERATION in attributes:
            attributes.update(attempt(payload.conversation, metadata, default=_NOTHING))
        if self._settings.metadata_keys:
            keys, room = self._settings.metadata_keys, self._bridge.attribute_bytes
            attributes.update(attempt(payload.selected_metadata, metadata, keys, room, default=_NOTHING))
        return attributes

    def _with_surroundings(self, run: Run, event: StartEvent, attributes: Attributes) -> Attributes:
        """Add what a run has of those around it: whose invocation it is; of a tool its agent, of a model its prompt."""
        captures = "span" in self._bridge.captures
        shared = _shared(run.parent.start_attributes, captures=captures) if run.parent is not None else {}
        if event.parent_run_id is None and semconv.TAGS in attributes:
            shared.setdefault(semconv.INVOCATION_TAGS, attributes[semconv.TAGS])
        if semconv.OPERATION in attributes and semconv.SESSION_ID in shared:
            shared[semconv.CONVERSATION_ID] = shared[semconv.SESSION_ID]
        if event.metadata is not None:
            allowed = None if captures else self._settings.metadata_keys
            if own := attempt(payload.belonging, event.metadata, allowed, default=_NOTHING):
                shared.update(self._redacted(own))
        special = executing_agent(run) if event.kind is TOOL else _NOTHING
        if event.kind.is_model and (prompt := prompt_of(run, attributes)) is not None:
            special = prompt.attributes
        return {**shared, **attributes, **special} if shared or special else attributes

    def _redacted(self, attributes: Attributes) -> Attributes:
        redactors = self._bridge.redactors
        return Writer(redactors=redactors).redacted(attributes) if redactors else attributes

    def _is_hidden(self, event: StartEvent, start: Start) -> bool:
        """Return whether a run gets no span at the level of detail that is set."""
        detail = self._settings.detail
        if detail == "all":
            return False
        for tag in stored_items(event.tags) or ():
            # By its type: another kind of tag may have a == that is no truth value, such as an array's.
            if type(tag) is str and tag == _HIDDEN_TAG:
                return True
        return detail == "minimal" and semconv.OPERATION not in start.attributes and event.parent_run_id is not None

    def _record_content(self, run: Run, event: StartEvent) -> None:
        if (write := span_writer(run, self._bridge)) is not None:
            content = attempt(self._content, run, event, write, default=_NOTHING)
            if run.is_model:
                beside = attempt(request_content, event.invocation_params, event.options, write, default=_NOTHING)
                variables = attempt(prompt_variables, run, write, default=_NOTHING)
                content = {**content, **beside, **variables}
            run.record.add(self._bridge.formatted(content))

    def _content(self, run: Run, event: StartEvent, write: Writer) -> Attributes:
        if event.kind is CHAT and self._settings.history == "new" and "span" in run.record.captures:
            (messages,) = event.content
            return new_messages(run, messages, write)
        return event.kind.describe_content(event, write)


def _shared(around: Attributes, *, captures: bool) -> dict[str, AnyValue]:
    """Return what a run has of the one around it, without content if that is not captured."""
    if _INVOCATION.isdisjoint(around):
        return {}
    return {name: around[name] for name in semconv.INVOCATION[: None if captures else 1] if name in around}


def _redact(run: Run, redactors: tuple[Redactor, ...]) -> None:
    """Have another handler redact what is recorded of a run already; its span keeps none of what that changes."""
    run.record.redactors, run.record.written_captures = run.record.redactors + redactors, None
    write = Writer(redactors=redactors)
    run.record.attributes = write.redacted(run.record.attributes)
    content = write.redacted(run.start_attributes)
    changed = {name: value for name, value in content.items() if value != run.start_attributes[name]}
    run.start_attributes = content
    if changed and takes_attributes(run):
        run.span.set_attributes(changed)


def _notify(event: StartEvent, run: Run, callbacks: "tuple[BaseCallbackHandler, ...]") -> None:
    if event.frames.caller.f_code.co_flags & inspect.CO_COROUTINE:
        run.audience.ensure_outbox(outbox_here)
    serialized = attempt(event.described_object, default={})
    start = Event(event.kind.callback, (serialized, event.content), event.keywords)
    dispatch_as_recorded(callbacks, start, run.audience.outbox, event.transform_inputs)
