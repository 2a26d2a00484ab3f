"""Makes runs of LangChain's events: asks ``payload`` what an event says, tells ``tracing`` and ``runs`` about it.

Then it passes the event on, with the live objects, to the callback handlers in whose scope the run is.
"""

import functools
import inspect
import operator
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID, uuid4

from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult
from opentelemetry import trace
from opentelemetry.trace import SpanKind, TracerProvider

from runspan import payload, semconv
from runspan._guard import attempt
from runspan.dispatch import dispatch, outbox_here
from runspan.event import Event
from runspan.payload import Failure, Kind, Start
from runspan.runs import Attributes, Audience, Run
from runspan.scope import NOBODY, Scope
from runspan.tracing import Tracing

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

_HIDDEN_TAG: Final = "langsmith:hidden"
_UNKNOWN_FAILURE: Final = Failure("error", "_OTHER", "")
_NOTHING: Final[Attributes] = {}
# What a span was given can't be taken back, but for another value.
_NO_TAGS: Final[Attributes] = {semconv.TAGS: []}

_Event = dict[str, Any]
_Args = tuple[Any, ...]


class Subject(NamedTuple):
    """How a kind of run becomes a span."""

    start: str
    """The callback that starts it."""
    describe: Callable[..., Start]
    kind: Kind
    """What is known of the run if nothing can be read from what LangChain says of it."""
    content: Callable[..., Attributes]
    span_kind: SpanKind = SpanKind.CLIENT
    is_chain: bool = False
    is_model: bool = False


CHAIN: Final = Subject(
    "on_chain_start", payload.chain_start, Kind.CHAIN, payload.inputs, SpanKind.INTERNAL, is_chain=True
)
CHAT: Final = Subject("on_chat_model_start", payload.chat_start, Kind.CHAT, payload.input_messages, is_model=True)
COMPLETION: Final = Subject(
    "on_llm_start", payload.completion_start, Kind.COMPLETION, payload.input_prompts, is_model=True
)
TOOL: Final = Subject("on_tool_start", payload.tool_start, Kind.TOOL, payload.tool_arguments, SpanKind.INTERNAL)
RETRIEVER: Final = Subject("on_retriever_start", payload.retriever_start, Kind.RETRIEVER, payload.query)


class Bridge:
    """What one handler does with the events it is called with.

    No exception leaves it but one: that of a sync callback handler with ``raise_error``.

    Args:
        tracer_provider: where spans start; the global provider, whichever it is by then, if None.
        captures: whether content goes onto spans.
        scope: who listens to the invocations of the handler.
    """

    def __init__(self, tracer_provider: TracerProvider | None, scope: Scope, *, captures: bool) -> None:
        self.scope = scope
        self.is_shut_down = False
        self._tracer_provider = tracer_provider
        self._captures = captures
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
        subject: Subject,
        args: _Args,
        event: _Event,
        *,
        facts: Iterable[object],
        content: Iterable[object] | None = None,
    ) -> None:
        """Start the run of an event, or join the one that another handler started."""
        begun = attempt(self._begin, caller, subject, event, facts, content, default=None)
        if begun is not None:
            run, callbacks = begun
            if run.outbox is None and caller.f_code.co_flags & inspect.CO_COROUTINE:
                run.outbox = outbox_here()
            serialized = attempt(_serialized, args[0], event, default={})
            self._announce(run, callbacks, Event(subject.start, (serialized, *args[1:]), event))

    def end(self, name: str, args: _Args, event: _Event, describe: Callable[..., Attributes] | None = None) -> None:
        """End the run of an event; ``describe`` tells what its result says."""
        at_ns = time.time_ns()
        self._conclude(Event(name, args, event), lambda run: self._end(run, describe, args[0], at_ns))

    def fail(self, name: str, args: _Args, event: _Event) -> None:
        """End the run of an event without a result; a model may have come to a part of it."""
        at_ns = time.time_ns()
        self._conclude(Event(name, args, event), lambda run: self._fail(run, args[0], event.get("response"), at_ns))

    def pass_on(self, name: str, args: _Args, event: _Event, chunk: object = None, *, is_chunk: bool = False) -> None:
        """Pass on what happens in the midst of a run; ``chunk`` is what a model streamed."""
        audience = attempt(self._note, event.get("run_id"), chunk, is_chunk, default=None)
        if audience is not None:
            dispatch(audience.callbacks, Event(name, args, event), audience.outbox)

    def open_block(self, caller: FrameType) -> Run:
        """Start a run without a span, of which no event tells, to carry the scope through a block of code."""
        run = self.tracing.begin(
            caller,
            uuid4(),
            None,
            name="invocation",
            kind=SpanKind.INTERNAL,
            attributes=_NOTHING,
            is_chain=True,
            is_hidden=True,
            scope=self.scope,
        )
        run.outbox = run.outbox or outbox_here()
        return run

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

    def model_answer(self, response: object, *, captures: bool) -> Attributes:
        """Return what an ``LLMResult`` says."""
        answer = attempt(payload.answer, response, default=_NOTHING)
        messages = attempt(payload.output_messages, response, default=_NOTHING) if captures else _NOTHING
        return {**answer, **messages}

    def _listen(self) -> None:
        if self.scope is not NOBODY:
            self._tracing.listen()

    def _provider(self) -> TracerProvider:
        provider = self._tracer_provider or trace.get_tracer_provider()
        if self.scope is NOBODY:
            return provider
        from runspan.routing import provider_to_hear  # noqa: PLC0415  who brings no listeners needs no SDK

        return provider_to_hear(provider, is_named=self._tracer_provider is not None)

    def _begin(
        self,
        caller: FrameType,
        subject: Subject,
        event: _Event,
        facts: Iterable[object],
        content: Iterable[object] | None,
    ) -> "tuple[Run, tuple[BaseCallbackHandler, ...]] | None":
        """Return the run and who is to be told of its start, None if nobody is."""
        run_id = event["run_id"]
        if run_id is None:
            raise ValueError("LangChain gave no run_id, so the run can't be told from others")
        if self.is_shut_down:
            return None
        tracing = self.tracing
        run = tracing.table.find(run_id)
        if run is not None:
            callbacks = self._join(run)
        else:
            run = self._new_run(tracing, caller, subject, event, facts=facts, content=content)
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
        subject: Subject,
        event: _Event,
        *,
        facts: Iterable[object],
        content: Iterable[object] | None,
    ) -> Run:
        start = attempt(subject.describe, *facts, default=None) or payload.unknown_start(subject.kind)
        tags = event.get("tags")
        told = tags if self._captures else None
        origin = attempt(payload.origin, event["run_id"], event.get("metadata"), told, default=_NOTHING)
        run = tracing.begin(
            caller,
            event["run_id"],
            event.get("parent_run_id"),
            name=start.name,
            kind=subject.span_kind,
            attributes={**start.attributes, **origin},
            is_chain=subject.is_chain,
            is_hidden=isinstance(tags, list) and _HIDDEN_TAG in tags,
            scope=self.scope,
        )
        run.handlers = (self,)
        run.captures = self._captures
        if subject.is_model:
            run.is_model, run.partial = True, self._partial_answer
        if content is not None and self._captures and _takes_attributes(run):
            run.attributes = attempt(_called_with, subject.content, content, default=_NOTHING)
        return run

    def _announce(self, run: Run, callbacks: "tuple[BaseCallbackHandler, ...]", event: Event) -> None:
        is_told = False
        try:
            dispatch(callbacks, event, run.outbox)
            is_told = True
        finally:
            # A handler raised: LangChain gives up before the run begins, and will not end it.
            if not is_told and run.table.take(run.run_id) is run:
                attempt(self._fail, run, sys.exception(), None, time.time_ns(), default=None)

    def _conclude(self, event: Event, end: Callable[[Run], None]) -> None:
        """Tell of the end of a run, then end its span: what an exporter prints comes after what handlers print."""
        run, audience = attempt(self._take, event.kwargs.get("run_id"), default=(None, None))
        try:
            if audience is not None:
                dispatch(audience.callbacks, event, audience.outbox)
        finally:
            if run is not None:
                attempt(end, run, default=None)

    def _take(self, run_id: UUID | None) -> tuple[Run | None, Audience | None]:
        table = self._tracing.table
        run = table.take(run_id)
        return (run, run.audience()) if run is not None else (None, table.take_abandoned(run_id))

    def _end(self, run: Run, describe: Callable[..., Attributes] | None, result: object, at_ns: int) -> None:
        attributes = _NOTHING
        if describe is not None and _takes_attributes(run):
            attributes = self._described(run, describe, result)
        run.table.end(run, _with_stream(run, attributes), None, at_ns)

    def _fail(self, run: Run, error: BaseException, response: object, at_ns: int) -> None:
        failure = attempt(payload.failure, error, default=_UNKNOWN_FAILURE)
        so_far = self.model_answer(response, captures=run.captures) if response is not None else _NOTHING
        message = failure.message if run.captures else ""
        attributes = {**_with_stream(run, so_far), **_told(failure)}
        run.table.end(run, attributes, message if failure.outcome == "error" else None, at_ns)

    def _note(self, run_id: UUID | None, chunk: object, is_chunk: bool) -> Audience | None:
        table = self._tracing.table
        run = table.find(run_id)
        if is_chunk and run is not None and run.handlers and run.handlers[0] is self:
            run.first_chunk_ns = run.first_chunk_ns or time.time_ns()
            run.chunks.append(chunk)
        audience = table.audience(run_id)
        return audience if audience is not None and audience.speaker is self else None

    def _described(self, run: Run, describe: Callable[..., Attributes], result: object) -> Attributes:
        if run.is_model:
            return self.model_answer(result, captures=run.captures)
        return attempt(describe, result, default=_NOTHING) if run.captures else _NOTHING

    def _partial_answer(self, run: Run) -> Attributes:
        chunks = [chunk for chunk in run.chunks if isinstance(chunk, ChatGenerationChunk | GenerationChunk)]
        if not chunks:
            return _with_stream(run, _NOTHING)
        whole = functools.reduce(operator.add, chunks)
        return _with_stream(run, self.model_answer(LLMResult(generations=[[whole]]), captures=run.captures))


def _called_with(describe: Callable[..., Attributes], values: Iterable[object]) -> Attributes:
    return describe(*values)


def _takes_attributes(run: Run) -> bool:
    return run.owns_span and run.span.is_recording()


def _serialized(given: object, event: _Event) -> object:
    """Return what LangChain tells of the object that runs; of a runnable it tells None, and handlers read its name."""
    if isinstance(given, dict) and "name" in given:
        return given
    name = event.get("name")
    if isinstance(given, dict):
        return {**given, "name": name}
    return {"lc": 1, "type": "not_implemented", "id": [name], "name": name}


def _with_stream(run: Run, attributes: Attributes) -> Attributes:
    if not run.first_chunk_ns:
        return attributes
    first_chunk_seconds = (run.first_chunk_ns - run.started_ns) / 1e9
    return {**attributes, semconv.REQUEST_STREAM: True, semconv.TIME_TO_FIRST_CHUNK: first_chunk_seconds}


def _told(failure: Failure) -> Attributes:
    if failure.outcome == "error":
        return {semconv.ERROR_TYPE: failure.error_type}
    return {semconv.RUN_OUTCOME: failure.outcome}
