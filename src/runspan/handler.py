"""The LangChain callback handler: asks ``payload`` what an event says, tells ``tracing`` and ``runs`` about it."""

import functools
import operator
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult
from opentelemetry import trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import SpanKind, TracerProvider

from runspan import payload, semconv
from runspan._guard import attempt
from runspan.payload import Failure, Kind, Start
from runspan.runs import Attributes, Run
from runspan.settings import Settings
from runspan.tracing import Tracing

_frame_at = sys._getframe  # noqa: SLF001  a documented function of CPython
_HIDDEN_TAG: Final = "langsmith:hidden"
_UNKNOWN_FAILURE: Final = Failure("error", "_OTHER", "")
_NOTHING: Final[Attributes] = {}

_Event = dict[str, Any]


class _Subject(NamedTuple):
    """How a kind of run becomes a span."""

    describe: Callable[..., Start]
    kind: Kind
    """What is known of the run if nothing can be read from what LangChain says of it."""
    content: Callable[..., Attributes]
    span_kind: SpanKind = SpanKind.CLIENT
    is_chain: bool = False
    is_model: bool = False


def _no_content(*_: object) -> Attributes:
    return _NOTHING


_CHAIN: Final = _Subject(payload.chain_start, Kind.CHAIN, _no_content, SpanKind.INTERNAL, is_chain=True)
_CHAT: Final = _Subject(payload.chat_start, Kind.CHAT, payload.input_messages, is_model=True)
_COMPLETION: Final = _Subject(payload.completion_start, Kind.COMPLETION, payload.input_prompts, is_model=True)
_TOOL: Final = _Subject(payload.tool_start, Kind.TOOL, payload.tool_arguments, SpanKind.INTERNAL)
_RETRIEVER: Final = _Subject(payload.retriever_start, Kind.RETRIEVER, payload.query)


class OpenTelemetryCallbackHandler(BaseCallbackHandler):
    """Make every LangChain run a span, and the current span right inside of it.

    One instance serves any number of concurrent invocations, in any thread and event loop. Give it to an invocation,
    to a constructor, or to both. No exception of it reaches the application.

    Args:
        tracer_provider: where spans start; the global provider if None.
        meter_provider: kept for the metrics of a later version.
        logger_provider: kept for the events of a later version.
        settings: what to record; from the environment if None.

    Example:
        ``chain.invoke(question, config={"callbacks": [OpenTelemetryCallbackHandler()]})``
    """

    # Async managers call other sync handlers in a thread, where what they attach to the context is lost.
    run_inline = True

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: object | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.meter_provider = meter_provider
        self.logger_provider = logger_provider
        self._tracer_provider = tracer_provider
        self._captures = self.settings.capture_content == "span"
        self._is_shut_down = False
        self._tracing = Tracing(tracer_provider or trace.get_tracer_provider())

    def __copy__(self) -> Self:
        """Return the same handler: LangChain copies handlers with the objects that hold them."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the same handler."""
        return self

    @property
    def open_runs(self) -> int:
        """How many runs of this handler have begun and not ended."""
        return sum(self in run.handlers for run in self._tracing.table.open_runs())

    def trace_id_for(self, run_id: UUID) -> str | None:
        """Return the trace id (32 hex digits) of a run that is open or started not long ago, else None.

        The last few thousand runs of the process are remembered.
        """
        trace_id = self._tracing.table.trace_id(run_id)
        return trace.format_trace_id(trace_id) if trace_id else None

    def force_flush(self, timeout: float = 10.0) -> bool:
        """End the runs that can't be executing any more, then have the provider deliver what has ended.

        Args:
            timeout: seconds.

        Returns:
            Whether the provider says, in time, that all is delivered. OpenTelemetry's own batch processor says so
            even if it is not; the one of ``runspan.configure`` tells the truth.
        """
        tracing = self._current_tracing()
        tracing.table.sweep()
        flush = getattr(tracing.provider, "force_flush", None)
        if flush is None:
            return False
        delivered: list[bool] = []

        def work() -> None:
            delivered.append(attempt(flush, int(timeout * 1000), default=False))

        # In a thread, since other processors don't keep to the timeout.
        thread = threading.Thread(target=work, name="runspan-flush", daemon=True)
        thread.start()
        thread.join(timeout)
        return delivered == [True]

    def shutdown(self, timeout: float = 4.0) -> bool:
        """End what is open, deliver it, and trace no further runs. The provider stays open for others.

        Args:
            timeout: seconds.
        """
        self._is_shut_down = True
        for run in reversed(list(self._tracing.table.open_runs())):
            run.handlers = tuple(each for each in run.handlers if each is not self)
            if not run.handlers:
                run.table.abandon(run)
        return self.force_flush(timeout)

    def on_chain_start(self, serialized: Any = None, inputs: Any = None, **event: Any) -> None:  # noqa: ARG002  LangChain gives it
        """Start a chain, prompt, parser, graph or node."""
        facts = serialized, event.get("name"), event.get("run_type")
        attempt(self._begin, _frame_at(1), event, _CHAIN, facts, default=None)

    def on_chat_model_start(self, serialized: Any = None, messages: Any = None, **event: Any) -> None:
        """Start a chat model; LangChain gives one list of messages in a list."""
        attempt(self._begin, _frame_at(1), event, _CHAT, _model_facts(serialized, event), messages, default=None)

    def on_llm_start(self, serialized: Any = None, prompts: Any = None, **event: Any) -> None:
        """Start a completion model; LangChain gives one prompt in a list."""
        attempt(
            self._begin, _frame_at(1), event, _COMPLETION, _model_facts(serialized, event), (prompts,), default=None
        )

    def on_tool_start(self, serialized: Any = None, input_str: Any = None, **event: Any) -> None:
        """Start a tool; ``inputs`` are its arguments, where LangChain knows them apart."""
        facts = serialized, event.get("name"), event.get("tool_call_id")
        attempt(self._begin, _frame_at(1), event, _TOOL, facts, (event.get("inputs"), input_str), default=None)

    def on_retriever_start(self, serialized: Any = None, query: Any = None, **event: Any) -> None:
        """Start a retriever."""
        facts = serialized, event.get("name"), event.get("metadata")
        attempt(self._begin, _frame_at(1), event, _RETRIEVER, facts, (query,), default=None)

    def on_llm_new_token(self, token: Any = "", *, chunk: Any = None, **event: Any) -> None:  # noqa: ARG002  LangChain gives it
        """Note the moment of a stream's first chunk, and each chunk in case the stream is left early."""
        attempt(self._note_chunk, event, chunk, default=None)

    def on_stream_event(self, event: Any = None, **where: Any) -> None:  # noqa: ARG002  LangChain gives it
        """Note the moment of the first event of ``stream_events(version="v3")``."""
        attempt(self._note_chunk, where, None, default=None)

    def on_chain_end(self, outputs: Any = None, **event: Any) -> None:  # noqa: ARG002  LangChain gives it
        """End a chain, prompt, parser, graph or node."""
        attempt(self._end, event, default=None)

    def on_llm_end(self, response: Any = None, **event: Any) -> None:
        """End a model of either kind; ``response`` is an ``LLMResult``."""
        attempt(self._end, event, self._model_answer, response, default=None)

    def on_tool_end(self, output: Any = None, **event: Any) -> None:
        """End a tool."""
        attempt(self._end, event, self._content, payload.tool_result, output, default=None)

    def on_retriever_end(self, documents: Any = None, **event: Any) -> None:
        """End a retriever."""
        attempt(self._end, event, self._content, payload.documents, documents, default=None)

    def on_chain_error(self, error: Any = None, **event: Any) -> None:
        """End a chain that raised."""
        attempt(self._fail, event, error, default=None)

    on_tool_error = on_chain_error
    on_retriever_error = on_chain_error

    def on_llm_error(self, error: Any = None, **event: Any) -> None:
        """End a model that raised or was left early; ``response`` is an ``LLMResult`` of what had come until then."""
        attempt(self._fail, event, error, event.get("response"), default=None)

    def _begin(
        self,
        caller: FrameType,
        event: _Event,
        subject: _Subject,
        facts: Iterable[object],
        content: Iterable[object] = (),
    ) -> None:
        """Start the run of an event, or join the one that another handler started."""
        run_id = event["run_id"]
        if run_id is None:
            raise ValueError("LangChain gave no run_id, so the run can't be told from others")
        if self._is_shut_down:
            return
        tracing = self._current_tracing()
        run = tracing.table.find(run_id)
        if run is not None:
            run.handlers = (*(each for each in run.handlers if each is not self), self)
            return
        start = attempt(subject.describe, *facts, default=None) or payload.unknown_start(subject.kind)
        tags = event.get("tags")
        told = tags if self._captures else None
        origin = attempt(payload.origin, run_id, event.get("metadata"), told, default=_NOTHING)
        run = tracing.begin(
            caller,
            run_id,
            event.get("parent_run_id"),
            name=start.name,
            kind=subject.span_kind,
            attributes={**start.attributes, **origin},
            is_chain=subject.is_chain,
            is_hidden=isinstance(tags, list) and _HIDDEN_TAG in tags,
        )
        run.handlers = (self,)
        if subject.is_model:
            run.partial = self._partial_answer
        if content and self._captures and run.owns_span and run.span.is_recording():
            run.attributes = attempt(subject.content, *content, default=_NOTHING)

    def _end(self, event: _Event, describe: Callable[..., Attributes] = _no_content, *facts: object) -> None:
        at_ns = time.time_ns()
        table = self._tracing.table
        run = table.take(event.get("run_id"))
        if run is not None:
            is_told = facts and run.owns_span and run.span.is_recording()
            attributes = describe(*facts) if is_told else _NOTHING
            table.end(run, _with_stream(run, attributes), None, at_ns)

    def _fail(self, event: _Event, error: BaseException, response: object = None) -> None:
        at_ns = time.time_ns()
        table = self._tracing.table
        run = table.take(event.get("run_id"))
        if run is not None:
            failure = attempt(payload.failure, error, default=_UNKNOWN_FAILURE)
            so_far = self._model_answer(response) if response is not None else _NOTHING
            attributes = {**_with_stream(run, so_far), **_told(failure)}
            message = failure.message if self._captures else ""
            table.end(run, attributes, message if failure.outcome == "error" else None, at_ns)

    def _note_chunk(self, event: _Event, chunk: object) -> None:
        run = self._tracing.table.find(event.get("run_id"))
        if run is not None:
            run.first_chunk_ns = run.first_chunk_ns or time.time_ns()
            run.chunks.append(chunk)

    def _content(self, describe: Callable[..., Attributes], value: object) -> Attributes:
        return attempt(describe, value, default=_NOTHING) if self._captures else _NOTHING

    def _model_answer(self, response: object) -> Attributes:
        answer = attempt(payload.answer, response, default=_NOTHING)
        messages = attempt(payload.output_messages, response, default=_NOTHING) if self._captures else _NOTHING
        return {**answer, **messages}

    def _partial_answer(self, run: Run) -> Attributes:
        chunks = [chunk for chunk in run.chunks if isinstance(chunk, ChatGenerationChunk | GenerationChunk)]
        if not chunks:
            return _with_stream(run, _NOTHING)
        whole = functools.reduce(operator.add, chunks)
        return _with_stream(run, self._model_answer(LLMResult(generations=[[whole]])))

    def _current_tracing(self) -> Tracing:
        if self._tracer_provider is None:
            # The application may set the global provider after this handler was made.
            self._tracing = self._tracing.follow(trace.get_tracer_provider())
        return self._tracing


def _model_facts(serialized: object, event: _Event) -> tuple[object, ...]:
    return serialized, event.get("name"), event.get("metadata"), event.get("invocation_params")


def _with_stream(run: Run, attributes: Attributes) -> Attributes:
    if not run.first_chunk_ns:
        return attributes
    first_chunk_seconds = (run.first_chunk_ns - run.started_ns) / 1e9
    return {**attributes, semconv.REQUEST_STREAM: True, semconv.TIME_TO_FIRST_CHUNK: first_chunk_seconds}


def _told(failure: Failure) -> Attributes:
    if failure.outcome == "error":
        return {semconv.ERROR_TYPE: failure.error_type}
    return {semconv.RUN_OUTCOME: failure.outcome}
