"""What LangChain calls: each callback hands its event to what starts runs, ends runs or forwards events."""

import sys
import time
from collections.abc import Iterable, Mapping
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry import trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from opentelemetry.util.types import AttributeValue

from runspan import payload
from runspan.arguments import check_provider, checked_run_id, checked_seconds
from runspan.callback_event import Event
from runspan.langchain.bridge import Bridge, listeners_of, notify
from runspan.langchain.ending import RunEnder
from runspan.langchain.forwarding import EventForwarder
from runspan.langchain.langgraph import note_interrupt, note_resume, receive_graph_events
from runspan.langchain.run_kinds import CHAIN, CHAT, COMPLETION, RETRIEVER, TOOL
from runspan.langchain.starting import RunStarter
from runspan.listeners.flush import flush
from runspan.runs.run import Run
from runspan.runs.scope import NOBODY, Scope
from runspan.runs.traceparent import format_traceparent
from runspan.settings import Option, Settings, checked_settings, trace_link
from runspan.signals.signals import Signals

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

# How much of a shutdown's time a flush may take; then the span processors deliver what is left, in their own way.
_FLUSH_SHARE: Final = 0.75

_frame_at = sys._getframe  # noqa: SLF001  a documented function of CPython


class OpenTelemetryCallbackHandler(BaseCallbackHandler):
    """Make every LangChain run a span, and make that the current span inside the run.

    One instance serves any number of concurrent invocations, in any thread and event loop. Give it to an invocation,
    to a constructor, or to both; several handlers of one run make one span. None of its exceptions reaches the
    application, except what a sync handler among ``callbacks`` with ``raise_error`` raises.

    When a graph runs, LangGraph's ``GraphCallbackHandler`` becomes a base of this class, as LangGraph notifies nothing
    else of interrupts. A class derived from both has to name this one first.

    Args:
        callbacks: ordinary callback handlers, to hear the runs of the invocations that this handler is given to, and
            the calls of models and tools that other libraries trace in them.
        span_processors: OpenTelemetry span processors, to hear every span of those invocations, whoever makes it.
        attributes: what each of those spans gets, overriding what it starts with: names, and values that spans take.
        propagate: the names of those attributes that go into the baggage, and so to every service that is called
            within the invocation; model providers get them, too, if the HTTP client is instrumented.
        tracer_provider: where spans start; the global provider if None. While there is none that takes span
            processors, a handler with listeners uses one of runspan's own.
        meter_provider: where the metrics of the runs go; the global provider if None.
        logger_provider: where their events go, as log records; the global provider if None.
        settings: what to record; from the environment if None.

    Attributes:
        settings: the options that are in force.
        meter_provider: the one that was given, or None.
        logger_provider: the one that was given, or None.

    Raises:
        TypeError: if an argument is of another kind; it names the argument, the value and what to give.
        ValueError: if an environment variable has a value that is not allowed, or what is to be propagated can't be.

    Example:
        ``chain.invoke(question, config={"callbacks": [OpenTelemetryCallbackHandler(callbacks=[LoggingHandler()])]})``
    """

    # Async managers call other sync handlers in a thread, where what they attach to the context is lost.
    run_inline = True
    # Lets out what a callback handler raised that has it; nothing else leaves the bridge.
    raise_error = True
    # Properties of LangChain's class, which it asks with each event: plain values take 0.1 µs less of each chunk.
    ignore_llm = ignore_chat_model = ignore_chain = ignore_retriever = False

    def __init__(
        self,
        *,
        callbacks: Iterable[BaseCallbackHandler] = (),
        span_processors: "Iterable[SpanProcessor]" = (),
        attributes: Mapping[str, AttributeValue] | None = None,
        propagate: Iterable[str] = (),
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: object | None = None,
        settings: Settings | None = None,
    ) -> None:
        check_provider("tracer_provider", tracer_provider, "get_tracer", "TracerProvider")
        check_provider("meter_provider", meter_provider, "get_meter", "MeterProvider")
        self.settings = checked_settings(settings)
        self.meter_provider = meter_provider
        self.logger_provider = logger_provider
        self._listeners = listeners_of(callbacks, span_processors, attributes, propagate)
        scope = self._listeners.scope if self._listeners is not None else NOBODY
        signals = Signals(meter_provider, logger_provider, legacy_names=self.settings.semconv == "latest_and_legacy")
        self._bridge = Bridge(tracer_provider, scope, self.settings, signals)
        self._ender = RunEnder(self._bridge)
        self._starter = RunStarter(
            self._bridge, self._ender, partial(receive_graph_events, OpenTelemetryCallbackHandler)
        )
        self._forwarder = EventForwarder(self._bridge)

    def __copy__(self) -> Self:
        """Return the same handler: LangChain copies handlers with the objects that hold them."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the same handler."""
        return self

    @property
    def open_runs(self) -> int:
        """How many runs of this handler have begun but not ended."""
        return self._bridge.open_runs()

    @property
    def scope(self) -> Scope:
        """Who hears the invocations that this handler is given to; nobody once it is shut down."""
        return NOBODY if self._bridge.is_shut_down else self._bridge.scope

    def describe(self) -> dict[str, Option]:
        """Return each option of the settings with the value in force and where that comes from.

        Returns:
            By name, pairs of ``value`` and ``source``: ``argument``, ``default``, or the environment variable.

        Example:
            >>> handler.describe()["capture_content"]
            Option(value='span', source='default')
        """
        return self.settings.describe()

    def trace_id_for(self, run_id: UUID | str) -> str | None:
        """Return the trace id (32 hex digits) of a run that is open or started recently, else None.

        The last few thousand runs of the process are remembered.

        Args:
            run_id: as LangChain gives it: a UUID to callbacks, a str in the events of ``astream_events``.

        Raises:
            ValueError: if it is a str that is no UUID.
            TypeError: if it is of another type.
        """
        span = self._bridge.span_of(checked_run_id(run_id))
        return trace.format_trace_id(span.trace_id) if span is not None else None

    def traceparent_for(self, run_id: UUID | str) -> str | None:
        """Return the W3C ``traceparent`` of the span of a run, None where ``trace_id_for`` returns None.

        Keep it with the answer, for ``runspan.record_evaluation`` in any process, at any time.

        Args:
            run_id: as for ``trace_id_for``.

        Raises:
            ValueError: if it is a str that is no UUID.
            TypeError: if it is of another type.
        """
        span = self._bridge.span_of(checked_run_id(run_id))
        return format_traceparent(span) if span is not None else None

    def trace_url_for(self, run_id: UUID | str) -> str | None:
        """Return the link to the trace of a run, by ``Settings.trace_url``; None without one, or without a trace id.

        Args:
            run_id: as for ``trace_id_for``.

        Raises:
            ValueError: if it is a str that is no UUID.
            TypeError: if it is of another type.
        """
        trace_id = self.trace_id_for(run_id)
        return trace_link(self.settings.trace_url, trace_id) if trace_id is not None else None

    def force_flush(self, timeout: float = 10.0) -> bool:
        """End the runs that can no longer be executing, then have the provider deliver what has ended.

        The span processors of this handler deliver what they have, too, and media go to ``Settings.blob_store``.

        Args:
            timeout: seconds.

        Returns:
            Whether all of them report, in time, that all is delivered. OpenTelemetry's own batch processor reports
            success even if it failed; those of ``runspan.configure`` and ``runspan.OtlpSpanProcessor`` don't.
        """
        tracing = self._bridge.tracing
        tracing.table.sweep()
        processors = self._listeners.processors if self._listeners is not None else ()
        store = [self._bridge.store] if self._bridge.store is not None else []
        return flush([tracing.provider, *processors, *store], timeout)

    async def aflush(self, timeout: float = 10.0) -> bool:
        """Wait until the async handlers among ``callbacks`` have been called with all that happened in this event loop.

        Args:
            timeout: seconds.

        Returns:
            Whether they have, in time.
        """
        return self._listeners is None or await self._listeners.aflush(timeout)

    def shutdown(self, timeout: float = 4.0) -> bool:
        """End what is open, deliver it, and trace no further runs. The provider stays open for others.

        The span processors of this handler are shut down. One that takes longer than the time goes on in a thread of
        its own, and is not waited for.

        Args:
            timeout: seconds, for all of it.

        Returns:
            Whether all was delivered, as ``force_flush`` has it.
        """
        timeout = checked_seconds("timeout", timeout)
        deadline = time.monotonic() + timeout
        self._bridge.close()
        if self._listeners is None:
            return self.force_flush(timeout)
        is_delivered = self.force_flush(timeout * _FLUSH_SHARE)
        self._listeners.shutdown(max(deadline - time.monotonic(), 0))
        return is_delivered

    def open_block(self, caller: FrameType) -> Run:
        """Start a run that has no span and no events, for ``runspan.invocation``; ``caller`` is where the block is."""
        return self._starter.start_block(caller)

    def on_chain_start(self, serialized: Any = None, inputs: Any = None, **event: Any) -> None:
        """Start a chain, prompt, parser, graph or node."""
        self._starter.start(CHAIN, _frame_at(1), serialized, inputs, event)

    def on_chat_model_start(self, serialized: Any = None, messages: Any = None, **event: Any) -> None:
        """Start a chat model; LangChain gives one list of messages in a list."""
        self._starter.start(CHAT, _frame_at(1), serialized, messages, event)

    def on_llm_start(self, serialized: Any = None, prompts: Any = None, **event: Any) -> None:
        """Start a completion model; LangChain gives one prompt in a list."""
        self._starter.start(COMPLETION, _frame_at(1), serialized, prompts, event)

    def on_tool_start(self, serialized: Any = None, input_str: Any = None, **event: Any) -> None:
        """Start a tool; ``inputs`` are its arguments, where LangChain knows them apart."""
        self._starter.start(TOOL, _frame_at(1), serialized, input_str, event)

    def on_retriever_start(self, serialized: Any = None, query: Any = None, **event: Any) -> None:
        """Start a retriever."""
        self._starter.start(RETRIEVER, _frame_at(1), serialized, query, event)

    def on_llm_new_token(
        self,
        *args: Any,
        token: Any = None,
        chunk: Any = None,
        run_id: Any = None,
        parent_run_id: Any = None,
        tags: Any = None,
        **event: Any,
    ) -> None:
        """Note the moment of a stream's first chunk, and each chunk in case the stream is left early."""
        # LangChain's arguments are named above, as a dictionary of them takes as long as all that is noted of a chunk.
        recipients = self._forwarder.note_chunk("on_llm_new_token", run_id, chunk)
        if recipients is not None:
            ids = {"run_id": run_id, "parent_run_id": parent_run_id, "tags": tags}
            # In the order in which LangChain's async and sync managers give them: handlers print them.
            named = {"chunk": chunk, **ids, **event} if args else {"token": token, **ids, "chunk": chunk, **event}
            notify(recipients, Event("on_llm_new_token", args, named))

    def on_stream_event(self, *args: Any, **event: Any) -> None:
        """Note the moment of the first event of ``stream_events(version="v3")``."""
        recipients = self._forwarder.note_chunk("on_stream_event", event.get("run_id"), event.get("chunk"))
        if recipients is not None:
            notify(recipients, Event("on_stream_event", args, event))

    def on_chain_end(self, outputs: Any = None, **event: Any) -> None:
        """End a chain, prompt, parser, graph or node."""
        self._ender.end("on_chain_end", outputs, event, payload.outputs)

    def on_llm_end(self, response: Any = None, **event: Any) -> None:
        """End a model of either kind; ``response`` is an ``LLMResult``."""
        self._ender.end("on_llm_end", response, event, payload.output_messages)

    def on_tool_end(self, output: Any = None, **event: Any) -> None:
        """End a tool."""
        self._ender.end("on_tool_end", output, event, payload.tool_result)

    def on_retriever_end(self, documents: Any = None, **event: Any) -> None:
        """End a retriever."""
        self._ender.end("on_retriever_end", documents, event, payload.documents)

    def on_chain_error(self, error: Any = None, **event: Any) -> None:
        """End a chain that raised."""
        self._ender.fail("on_chain_error", error, event)

    def on_tool_error(self, error: Any = None, **event: Any) -> None:
        """End a tool that raised."""
        self._ender.fail("on_tool_error", error, event)

    def on_retriever_error(self, error: Any = None, **event: Any) -> None:
        """End a retriever that raised."""
        self._ender.fail("on_retriever_error", error, event)

    def on_llm_error(self, error: Any = None, **event: Any) -> None:
        """End a model that raised or was left early; ``response`` is an ``LLMResult`` of what had come until then."""
        self._ender.fail("on_llm_error", error, event)

    def on_text(self, *args: Any, **event: Any) -> None:
        """Forward a text that a run gives."""
        self._forwarder.forward(Event("on_text", args, event))

    def on_retry(self, *args: Any, **event: Any) -> None:
        """Forward that a run is retried."""
        self._forwarder.forward(Event("on_retry", args, event))

    def on_custom_event(self, *args: Any, **event: Any) -> None:
        """Forward an event that the application dispatched within a run."""
        self._forwarder.forward(Event("on_custom_event", args, event))

    def on_interrupt(self, event: Any) -> None:
        """Note that a graph waits for its user, as LangGraph reports."""
        self._forwarder.forward_graph_event("on_interrupt", event, note_interrupt)

    def on_resume(self, event: Any) -> None:
        """Note that a graph goes on from a checkpoint, as LangGraph reports."""
        self._forwarder.forward_graph_event("on_resume", event, note_resume)

    def on_agent_action(self, *args: Any, **event: Any) -> Any:
        """Forward what an agent of the classic kind is going to do."""
        self._forwarder.forward(Event("on_agent_action", args, event))

    def on_agent_finish(self, *args: Any, **event: Any) -> Any:
        """Forward that an agent of the classic kind has finished."""
        self._forwarder.forward(Event("on_agent_finish", args, event))
