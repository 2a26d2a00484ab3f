"""One call of a model, counted once, where its SDK or an instrumentation makes a second span for it."""

from collections.abc import Mapping
from typing import Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.util.types import AnyValue

from runspan import rebuild, semconv
from runspan._guard import attempt
from runspan.context import runs_executing
from runspan.live_spans import LiveSpans
from runspan.payload import Kind
from runspan.rebuild import Told
from runspan.rebuild.answer import answer_of, has_usage, joined, without_meaning, without_usage
from runspan.runs import Run
from runspan.span_copy import SpanCopy

_MODELS: Final = (Kind.CHAT, Kind.COMPLETION)
_OPERATIONS: Final = ("chat", "text_completion", "generate_content")


class OneCallSpanProcessor(SpanProcessor):
    """Pass spans on so that one span alone has the usage of a call of a model, and is one to a backend.

        provider.add_span_processor(OneCallSpanProcessor(BatchSpanProcessor(exporter)))

    Anthropic's SDK and instrumentations of others make a span for each call, below the one of LangChain's model. It
    says the same, so a sum over the trace would count it twice. It is passed on as a copy without ``gen_ai.*``,
    ``llm.*`` and OpenInference's kind and content; its time, status, HTTP and provider's own attributes stay. What it
    alone knows of the answer (usage, response id, finish reason, service tier) is added to the model's span.

    Where that one has ended before it without usage, as when a stream is left early, the inner span stays whole if
    it has usage: then it is the one that counts.

    A call within a tool or a chain is one of its own, and so is one whose spans go to another provider than those of
    the handler. Spans of ``opentelemetry-util-genai`` are treated like any others; its own way to leave them out is
    not used.

    Args:
        processor: hears the spans; what it is given in ``on_end`` may be a copy.

    Raises:
        TypeError: if it is none.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        if not isinstance(processor, SpanProcessor):
            remedy = " Put one around the exporter, such as OpenTelemetry's BatchSpanProcessor(exporter)."
            raise TypeError(
                f"processor is {processor!r}; it must be an instance of OpenTelemetry's SpanProcessor."
                + (remedy if isinstance(processor, SpanExporter) else "")
            )
        self._processor = processor
        self._calls: LiveSpans[_Call] = LiveSpans()
        self._inner: LiveSpans[_InnerSpan] = LiveSpans()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note a call of ours, and what starts within one."""
        attempt(self._note, span, parent_context, default=None)
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a span on, bare if it means a call that ours tells."""
        self._processor.on_end(attempt(self._counted_once, span, default=span))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the inner processor."""
        return self._processor.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Shut the inner processor down."""
        self._processor.shutdown()

    def _note(self, span: Span, parent_context: Context | None) -> None:
        if span.instrumentation_scope is not None and span.instrumentation_scope.name == "runspan":
            if _is_model(span) and span.get_span_context().trace_flags.sampled:
                self._calls.put(span, _Call())
        elif len(self._calls):
            context = otel.get_current() if parent_context is None else parent_context
            for run in runs_executing(context):
                call = self._calls.get(run.span.get_span_context()) if run.is_model and run.owns_span else None
                if call is not None:
                    self._inner.put(span, _InnerSpan(run, call, self._inner.get(span.parent)))
                    return

    def _counted_once(self, span: ReadableSpan) -> ReadableSpan:
        attributes = span.attributes or {}
        call = self._calls.pop(span.context)
        if call is not None:
            call.has_usage = has_usage(attributes)
            return span
        inner = self._inner.pop(span.context)
        told = Told(span.name, attributes)
        if inner is None or rebuild.kind_of(told) not in _MODELS or not inner.hand_over(answer_of(told)):
            return span
        return SpanCopy(span, attributes=without_meaning(attributes))


class _Call:
    """A call of a model that has a span of ours."""

    def __init__(self) -> None:
        self.has_usage = False
        """Whether the span has ended with usage."""
        self._answers: list[Mapping[str, AnyValue]] = []

    def take(self, run: Run, answer: Mapping[str, AnyValue]) -> None:
        """Have the span get what it would lack; what the run's own answer says replaces it."""
        self._answers.append(answer)
        added = {name: value for name, value in joined(self._answers.copy()).items() if name not in run.told}
        run.attributes = {**run.attributes, **added}


class _InnerSpan:
    """A span that started where a call of ours executes.

    Args:
        run: whose call it is.
        call: the call.
        around: the inner span that this one started in, if any.
    """

    def __init__(self, run: Run, call: _Call, around: "_InnerSpan | None") -> None:
        self._run = run
        self._call = call
        self._around = around
        self._is_counted_within = False

    def hand_over(self, answer: Mapping[str, AnyValue]) -> bool:
        """Hand the answer to the run, if that goes on; tell whether another span counts what this one does."""
        if self._is_counted_within:
            answer = without_usage(answer)
        is_counting = has_usage(answer)
        if is_counting:
            for each in self._lineage():
                each._is_counted_within = True  # noqa: SLF001  of its own class
        if not self._run.is_over:
            self._call.take(self._run, answer)
            return True
        return self._call.has_usage or not is_counting

    def _lineage(self) -> "list[_InnerSpan]":
        found = []
        around = self._around
        while around is not None and around._call is self._call:  # noqa: SLF001  of its own class
            found.append(around)
            around = around._around  # noqa: SLF001  the same
        return found


def _is_model(span: ReadableSpan) -> bool:
    return (span.attributes or {}).get(semconv.OPERATION) in _OPERATIONS
