"""One call of a model, counted once, where its SDK or an instrumentation makes a second span for it."""

from collections.abc import Iterator, Mapping
from typing import Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.util.types import AnyValue

from runspan import rebuild, semconv
from runspan._guard import attempt
from runspan.listeners.live_spans import LiveSpans
from runspan.payload import Kind
from runspan.processors.wrapper import DelegatingSpanProcessor, SpanCopy
from runspan.rebuild import SpanData
from runspan.rebuild.recorded_response import (
    has_usage,
    merged_responses,
    recorded_response,
    without_model_attributes,
    without_usage,
)
from runspan.runs.current_span import runs_around
from runspan.runs.run import Run
from runspan.semconv.operations import MODEL_OPERATIONS

_MODELS: Final = (Kind.CHAT, Kind.COMPLETION)


class OneCallSpanProcessor(DelegatingSpanProcessor):
    """Pass spans on so that only one span has the usage of each model call.

    Anthropic's SDK and other libraries' instrumentations make a span for each call, below that of LangChain's model. It
    says the same, so sums over a trace would count the call twice. It is passed on as a copy without ``gen_ai.*``,
    ``llm.*`` and OpenInference's kind and content; its time, status, HTTP and provider's own attributes stay. What it
    alone knows of the answer (usage, response id, finish reason, service tier) goes to the model's span.

    Where that one has ended before, without usage, as when a stream is left early, the inner span stays whole if it
    has usage: then it is the one that counts.

    A call within a tool or a chain is separate, and so is one that the handler traces with another provider.
    ``opentelemetry-util-genai`` has its own way of not making the inner span at all, which takes an object of that
    package in the context; it is not used here.

    Args:
        processor: hears the spans; what its ``on_end`` gets may be a copy.

    Raises:
        TypeError: if it is no span processor; it names the value.

    Example:
        ``provider.add_span_processor(OneCallSpanProcessor(BatchSpanProcessor(exporter)))``
    """

    def __init__(self, processor: SpanProcessor) -> None:
        super().__init__(processor)
        self._calls: LiveSpans[_ModelCall] = LiveSpans()
        self._inner: LiveSpans[_InnerSpan] = LiveSpans()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note a call of ours, and what starts within one."""
        attempt(self._note, span, parent_context, default=None)
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a span on; as a copy without meaning and usage if our span of the same call has them."""
        self._processor.on_end(attempt(self._counted_once, span, default=span))

    def _note(self, span: Span, parent_context: Context | None) -> None:
        if span.instrumentation_scope is not None and span.instrumentation_scope.name == "runspan":
            if _is_model(span) and span.get_span_context().trace_flags.sampled:
                self._calls.put(span, _ModelCall())
        elif len(self._calls):
            around = self._inner.get(span.parent)
            inner = self._within(span, otel.get_current() if parent_context is None else parent_context, around)
            if inner is not None:
                inner.around = around
                self._inner.put(span, inner)

    def _within(self, span: Span, context: Context, around: "_InnerSpan | None") -> "_InnerSpan | None":
        """Return what a span is that starts where a call executes that was noted here, or within an inner span."""
        runs = runs_around(span.parent, context)
        for run in runs:
            if run.is_model and run.owns_span and (call := self._calls.get(run.span.get_span_context())) is not None:
                return _InnerSpan(run, call)
        return _InnerSpan(around.run, around.call) if around is not None and not runs else None

    def _counted_once(self, span: ReadableSpan) -> ReadableSpan:
        call = self._calls.pop(span.context)
        if call is not None:
            call.end(span.attributes or {})
            return span
        inner = self._inner.pop(span.context)
        if inner is None:
            return span
        attributes = dict(span.attributes or {})  # to look into the span's own many times is slow
        span_data = SpanData(span.name, attributes)
        is_bare = rebuild.kind_of(span_data) in _MODELS and inner.hand_over(recorded_response(span_data))
        return SpanCopy(span, attributes=without_model_attributes(attributes)) if is_bare else span


class _ModelCall:
    """A call of a model that has a span of ours."""

    def __init__(self) -> None:
        self.is_over = False
        self.has_usage = False
        """Whether the span ended with usage."""
        self._answers: list[Mapping[str, AnyValue]] = []

    def end(self, attributes: Mapping[str, AnyValue]) -> None:
        """Note what the span ends with."""
        self.has_usage = has_usage(attributes)
        self.is_over = True

    def take(self, run: Run, answer: Mapping[str, AnyValue]) -> None:
        """Have the span get what it would lack; what the run's own answer says comes after it, and counts."""
        self._answers.append(answer)
        added = {
            name: value
            for name, value in merged_responses(self._answers.copy()).items()
            if name not in run.start_attributes
        }
        run.record.add(added)


class _InnerSpan:
    """A span that started where a call of ours executes.

    Args:
        run: whose call it is.
        call: the call.
    """

    def __init__(self, run: Run, call: _ModelCall) -> None:
        self.run = run
        self.call = call
        self.around: _InnerSpan | None = None
        """The inner span that this one started in."""
        self.is_counted_within = False
        """Whether an inner span within this one has the usage of the same call."""

    def hand_over(self, answer: Mapping[str, AnyValue]) -> bool:
        """Hand the answer to the run, if that goes on; return whether another span counts what this one would."""
        if self.is_counted_within:
            answer = without_usage(answer)
        counts = has_usage(answer)
        if counts:
            for each in self._lineage():
                each.is_counted_within = True
        if not (self.run.is_over or self.call.is_over):
            self.call.take(self.run, answer)
            if not self.run.is_over:  # else another thread ends it just now, perhaps without what was handed over
                return True
        return self.call.has_usage or not counts

    def _lineage(self) -> "Iterator[_InnerSpan]":
        around = self.around
        while around is not None and around.call is self.call:
            yield around
            around = around.around


def _is_model(span: ReadableSpan) -> bool:
    return (span.attributes or {}).get(semconv.OPERATION) in MODEL_OPERATIONS
