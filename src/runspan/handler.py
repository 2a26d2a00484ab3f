"""The LangChain callback handler: asks ``payload`` what an event says, tells ``tracing`` and ``runs`` about it."""

import functools
import operator
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult
from opentelemetry import trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import SpanKind, TracerProvider
from opentelemetry.util.types import AnyValue

from runspan import payload, semconv
from runspan._guard import attempt, guarded
from runspan.payload import Failure, Kind, Start
from runspan.runs import Ending, Run
from runspan.settings import Settings
from runspan.tracing import Tracing

_HIDDEN_TAG: Final = "langsmith:hidden"
_CHAINS: Final = frozenset({Kind.CHAIN, Kind.PROMPT, Kind.PARSER})
_MODELS: Final = frozenset({Kind.CHAT, Kind.COMPLETION})
_REMOTE: Final = _MODELS | {Kind.RETRIEVER}

_Event = dict[str, Any]
_Attributes = Mapping[str, AnyValue]
_NOTHING: Final[_Attributes] = {}

# What a run is called if nothing can be read from what LangChain says of it.
_CHAIN: Final = Start(Kind.CHAIN, "chain", {})
_CHAT: Final = Start(Kind.CHAT, "chat", {semconv.OPERATION: "chat"})
_COMPLETION: Final = Start(Kind.COMPLETION, "text_completion", {semconv.OPERATION: "text_completion"})
_TOOL: Final = Start(Kind.TOOL, "execute_tool", {semconv.OPERATION: "execute_tool"})
_RETRIEVER: Final = Start(Kind.RETRIEVER, "retrieval", {semconv.OPERATION: "retrieval"})
_UNKNOWN_FAILURE: Final = Failure("error", "_OTHER", "")


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
        self._tracing.table.sweep()
        flush = getattr(self._tracing.provider, "force_flush", None)
        delivered: list[bool] = []
        if flush is not None:
            # Other processors don't keep to the timeout.
            work = threading.Thread(
                target=lambda: delivered.append(flush(int(timeout * 1000))), name="runspan-flush", daemon=True
            )
            work.start()
            work.join(timeout)
        return delivered == [True]

    def shutdown(self, timeout: float = 4.0) -> bool:
        """End what is open, deliver it, and trace no further runs. The provider stays open for others.

        Args:
            timeout: seconds.
        """
        self._is_shut_down = True
        for run in reversed(list(self._tracing.table.open_runs())):
            if run.handlers == (self,):
                run.table.abandon(run)
        return self.force_flush(timeout)

    @guarded
    def on_chain_start(self, serialized: Any = None, inputs: Any = None, **event: Any) -> None:
        """Start a chain, prompt, parser, graph or node."""
        self._begin(event, _CHAIN, payload.chain_start, serialized, event.get("name"), event.get("run_type"))

    @guarded
    def on_chat_model_start(self, serialized: Any = None, messages: Any = None, **event: Any) -> None:
        """Start a chat model; LangChain gives one list of messages in a list."""
        run = self._begin(event, _CHAT, payload.chat_start, serialized, *_model_facts(event))
        self._add_content(run, payload.input_messages, *(messages or ()))

    @guarded
    def on_llm_start(self, serialized: Any = None, prompts: Any = None, **event: Any) -> None:
        """Start a completion model; LangChain gives one prompt in a list."""
        run = self._begin(event, _COMPLETION, payload.completion_start, serialized, *_model_facts(event))
        self._add_content(run, payload.input_prompts, prompts)

    @guarded
    def on_tool_start(self, serialized: Any = None, input_str: Any = None, **event: Any) -> None:
        """Start a tool; ``inputs`` are its arguments, where LangChain knows them apart."""
        name, call_id = event.get("name"), event.get("tool_call_id")
        run = self._begin(event, _TOOL, payload.tool_start, serialized, name, call_id)
        self._add_content(run, payload.tool_arguments, event.get("inputs"), input_str)

    @guarded
    def on_retriever_start(self, serialized: Any = None, query: Any = None, **event: Any) -> None:
        """Start a retriever."""
        facts = event.get("name"), event.get("metadata")
        run = self._begin(event, _RETRIEVER, payload.retriever_start, serialized, *facts)
        self._add_content(run, payload.query, query)

    @guarded
    def on_llm_new_token(self, token: Any = "", *, chunk: Any = None, **event: Any) -> None:
        """Note the moment of a stream's first chunk, and each chunk in case the stream is left early."""
        run = self._find(event)
        if run is not None:
            run.first_chunk_ns = run.first_chunk_ns or time.time_ns()
            run.chunks.append(chunk)

    @guarded
    def on_stream_event(self, event: Any = None, **where: Any) -> None:
        """Note the moment of the first event of ``stream_events(version="v3")``."""
        run = self._find(where)
        if run is not None:
            run.first_chunk_ns = run.first_chunk_ns or time.time_ns()

    @guarded
    def on_chain_end(self, outputs: Any = None, **event: Any) -> None:
        """End a chain, prompt, parser, graph or node."""
        self._end(event, _nothing)

    @guarded
    def on_llm_end(self, response: Any = None, **event: Any) -> None:
        """End a model of either kind; ``response`` is an ``LLMResult``."""
        self._end(event, self._model_answer, response)

    @guarded
    def on_tool_end(self, output: Any = None, **event: Any) -> None:
        """End a tool."""
        self._end(event, self._content, payload.tool_result, output)

    @guarded
    def on_retriever_end(self, documents: Any = None, **event: Any) -> None:
        """End a retriever."""
        self._end(event, self._content, payload.documents, documents)

    @guarded
    def on_chain_error(self, error: Any = None, **event: Any) -> None:
        """End a chain that raised."""
        self._fail(event, error)

    on_tool_error = on_chain_error
    on_retriever_error = on_chain_error

    @guarded
    def on_llm_error(self, error: Any = None, **event: Any) -> None:
        """End a model that raised or was left early; ``response`` is an ``LLMResult`` of what had come until then."""
        self._fail(event, error, event.get("response"))

    def _begin(self, event: _Event, unknown: Start, describe: Callable[..., Start], *facts: object) -> Run | None:
        """Start the run of an event, or join the one that another handler started; give it if it is ours to fill."""
        run_id = event["run_id"]
        if self._is_shut_down:
            return None
        tracing = self._current_tracing()
        run = tracing.table.find(run_id)
        if run is not None:
            run.handlers += (self,)
            return None
        start = attempt(describe, *facts, default=unknown)
        attributes = {**start.attributes, **self._common(start.kind, event)}
        hidden = _HIDDEN_TAG in (event.get("tags") or ())
        span_kind = SpanKind.CLIENT if start.kind in _REMOTE else SpanKind.INTERNAL
        run = tracing.begin(
            run_id,
            event.get("parent_run_id"),
            start.name,
            span_kind,
            attributes,
            is_chain=start.kind in _CHAINS,
            is_hidden=hidden,
        )
        run.handlers = (self,)
        if start.kind in _MODELS:
            run.partial = self._partial_answer
        return None if hidden else run

    def _common(self, kind: Kind, event: _Event) -> _Attributes:
        tags = event.get("tags") if self._captures else None
        return {
            semconv.RUN_TYPE: kind.value,
            **attempt(payload.origin, event["run_id"], event.get("metadata"), default=_NOTHING),
            **attempt(payload.tags, tags, default=_NOTHING),
        }

    def _end(self, event: _Event, describe: Callable[..., _Attributes], *facts: object) -> None:
        at_ns = time.time_ns()
        run = self._find(event)
        if run is not None:
            attributes = attempt(describe, *facts, default=_NOTHING) if run.span.is_recording() else _NOTHING
            run.table.end(run, Ending({**attributes, **_stream_facts(run)}), at_ns)

    def _fail(self, event: _Event, error: BaseException, response: object = None) -> None:
        at_ns = time.time_ns()
        run = self._find(event)
        if run is not None:
            failure = attempt(payload.failure, error, default=_UNKNOWN_FAILURE)
            so_far = attempt(self._model_answer, response, default=_NOTHING) if response is not None else _NOTHING
            run.table.end(run, self._ending(failure, {**so_far, **_stream_facts(run)}), at_ns)

    def _ending(self, failure: Failure, attributes: _Attributes) -> Ending:
        if failure.outcome != "error":
            return Ending({**attributes, semconv.RUN_OUTCOME: failure.outcome})
        message = failure.message if self._captures else ""
        return Ending({**attributes, semconv.ERROR_TYPE: failure.error_type}, message)

    def _find(self, event: _Event) -> Run | None:
        return self._tracing.table.find(event.get("run_id"))

    def _content(self, describe: Callable[..., _Attributes], value: object) -> _Attributes:
        return attempt(describe, value, default=_NOTHING) if self._captures else _NOTHING

    def _add_content(self, run: Run | None, describe: Callable[..., _Attributes], *values: object) -> None:
        if run is not None and self._captures and run.span.is_recording():
            run.span.set_attributes(attempt(describe, *values, default=_NOTHING))

    def _model_answer(self, response: LLMResult) -> _Attributes:
        answer = attempt(payload.answer, response, default=_NOTHING)
        return {**answer, **self._content(payload.output_messages, response)}

    def _partial_answer(self, run: Run) -> _Attributes:
        chunks = [chunk for chunk in run.chunks if isinstance(chunk, ChatGenerationChunk | GenerationChunk)]
        if not chunks:
            return _stream_facts(run)
        whole = functools.reduce(operator.add, chunks)
        return {**self._model_answer(LLMResult(generations=[[whole]])), **_stream_facts(run)}

    def _current_tracing(self) -> Tracing:
        if self._tracer_provider is None:
            # The application may set the global provider after this handler was made.
            self._tracing = self._tracing.follow(trace.get_tracer_provider())
        return self._tracing


def _model_facts(event: _Event) -> tuple[object, ...]:
    return event.get("name"), event.get("metadata"), event.get("invocation_params")


def _stream_facts(run: Run) -> _Attributes:
    if not run.first_chunk_ns:
        return _NOTHING
    return {
        semconv.REQUEST_STREAM: True,
        semconv.TIME_TO_FIRST_CHUNK: (run.first_chunk_ns - run.started_ns) / 1e9,
    }


def _nothing() -> _Attributes:
    return _NOTHING
