"""Reads what a run is given when it starts, into the attributes that its span has from then on."""

from functools import partial
from typing import Final

from opentelemetry.util.types import AnyValue

from runspan import payload, semconv
from runspan._guard import attempt
from runspan.attributes import Attributes, PlainAttributes, only_content, without_content
from runspan.langchain.agents import executing_agent
from runspan.langchain.bridge import Bridge
from runspan.langchain.content import span_writer
from runspan.langchain.history import new_messages
from runspan.langchain.prompts import prompt_of, prompt_variables
from runspan.langchain.run_kinds import CHAT, TOOL, StartEvent
from runspan.payload import Start
from runspan.payload.metadata import with_configured
from runspan.payload.providers import legacy_names
from runspan.payload.request_content import request_content
from runspan.payload.writer import Writer
from runspan.runs.run import Run
from runspan.runs.starting_frame import configurable_at

_INVOCATION: Final = frozenset(semconv.INVOCATION)
_NOTHING: Final[Attributes] = {}


class StartReader:
    """Reads the start events of one handler."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._settings = bridge.settings
        self._has_legacy_names = bridge.settings.semconv == "latest_and_legacy"
        self._is_on_span = "span" in bridge.captures
        # Those of metadata that may be recorded though content may not, None if that may.
        self._belonging_keys = None if self._is_on_span else bridge.settings.metadata_keys

    def described(self, event: StartEvent) -> Start:
        """Return name and attributes of what starts."""
        return attempt(event.kind.describe_start, event, default=None) or payload.unknown_start(event.kind.run_type)

    def start_attributes(self, run: Run, event: StartEvent, start: Start) -> Attributes:
        """Return what the span of a run starts with, so that samplers see it."""
        attributes: Attributes = start.attributes
        own = attempt(self.add_origin, start.attributes, run, event, default=_NOTHING)
        if self._bridge.redactors:
            attributes = self._redacted(attributes)
        if not self._is_on_span:
            if self._bridge.captures:
                run.record.add(only_content(attributes))  # for events
            attributes = without_content(attributes)
        return self.with_surroundings(run, event, attributes, own)

    def add_origin(self, attributes: PlainAttributes, run: Run, event: StartEvent) -> Attributes:
        """Add where a run belongs to its attributes; return session, user and release, as its metadata names them."""
        # Tags are content, so they are read where some is recorded.
        tags = event.tags if self._bridge.captures else None
        attributes.update(payload.origin(run.run_id, event.metadata, tags))
        if self._has_legacy_names:
            attributes.update(legacy_names(attributes))
        if event.metadata is None:
            return _NOTHING
        # At the top of a call, or of what is traced of it.
        if event.parent_run_id is None or run.parent is None:
            find = partial(configurable_at, event.starter)
            # A session may be of a type with a foreign __bool__, such as pandas' NA: the rest is read nevertheless.
            event.metadata = attempt(with_configured, event.metadata, find, default=event.metadata)
        own = _NOTHING
        if payload.names_invocation(event.metadata):
            if semconv.OPERATION in attributes:
                attributes.update(payload.conversation(event.metadata))
            own = payload.belonging(event.metadata, self._belonging_keys)
        if self._settings.metadata_keys:
            keys, room = self._settings.metadata_keys, self._bridge.attribute_bytes
            attributes.update(payload.selected_metadata(event.metadata, keys, room))
        return own

    def with_surroundings(self, run: Run, event: StartEvent, attributes: Attributes, own: Attributes) -> Attributes:
        """Add what a run has of those around it: whose invocation it is; of a tool its agent, of a model its prompt."""
        shared: dict[str, AnyValue] = {}
        if run.parent is not None and not _INVOCATION.isdisjoint(run.parent.start_attributes):
            shared = self._shared(run.parent.start_attributes, attributes)
        if event.parent_run_id is None and semconv.TAGS in attributes:
            shared.setdefault(semconv.INVOCATION_TAGS, attributes[semconv.TAGS])
        if own:
            shared.update(self._redacted(own))
        special = _NOTHING
        if event.kind is TOOL:
            special = executing_agent(run)
        elif event.kind.is_model:
            event.prompt = prompt_of(run, attributes)
            special = event.prompt.attributes if event.prompt is not None else _NOTHING
        return {**shared, **attributes, **special} if shared or special else attributes

    def _shared(self, around: Attributes, attributes: Attributes) -> dict[str, AnyValue]:
        """Return what a run has of the one around it, without content if that is not captured."""
        names = semconv.INVOCATION if self._is_on_span else semconv.INVOCATION[:1]
        shared = {name: around[name] for name in names if name in around}
        if semconv.SESSION_ID in shared and semconv.OPERATION in attributes:
            shared[semconv.CONVERSATION_ID] = shared[semconv.SESSION_ID]
        return shared

    def _redacted(self, attributes: Attributes) -> Attributes:
        redactors = self._bridge.redactors
        return Writer(redactors=redactors).redacted(attributes) if redactors else attributes

    def record_content(self, run: Run, event: StartEvent) -> None:
        """Record what a run is given, as far as that is recorded."""
        if (write := span_writer(run, self._bridge)) is not None:
            read = self._model_content if run.is_model else self._content
            run.record.add(self._bridge.formatted(self._bridge.reading(read, run, event, write)))

    def _content(self, _: Run, event: StartEvent, write: Writer) -> Attributes:
        return attempt(event.kind.describe_content, event, write, default=_NOTHING)

    def _model_content(self, run: Run, event: StartEvent, write: Writer) -> Attributes:
        if event.kind is CHAT and self._settings.history == "new" and "span" in run.record.captures:
            content = attempt(new_messages, run, event.content[0], write, default=_NOTHING)
        else:
            content = self._content(run, event, write)
        constructed = event.serialized.get("kwargs") if isinstance(event.serialized, dict) else None
        beside = attempt(request_content, event.invocation_params, event.options, write, constructed, default=_NOTHING)
        if event.prompt is None or not event.prompt.variables:
            return {**content, **beside} if beside else content
        return {**content, **beside, **attempt(prompt_variables, event.prompt, write, default=_NOTHING)}
