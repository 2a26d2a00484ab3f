"""The spans of AI work alone, for a backend that shows nothing else, in trees that are still whole."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple
from weakref import ref

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext

from runspan._guard import attempt
from runspan.arguments import shown
from runspan.processors.wrapper import DelegatingSpanProcessor, SpanCopy

_SCOPES: Final = ("com.anthropic.sdk.python", "openinference.")
_ATTRIBUTES: Final = ("gen_ai.", "langchain.", "llm.", "openinference.", "traceloop.")
_REMEMBERED_SPANS: Final = 10_000


class AiOnlySpanProcessor(DelegatingSpanProcessor):
    """Pass on only the spans of AI work, each below its nearest ancestor that is also passed on.

    That is decided when a span starts. Attributes set later come too late, whether by hand inside a ``with`` or by
    OpenLLMetry's instrumentation of LangChain, whose spans an ``is_ai_work`` can recognise by their scope.

    Below a web server's span, which is dropped with the caller that it names, a kept span becomes a root; any other
    parent that this processor never heard of stays. Links stay, even those to dropped spans.

    The parent of a span can't be changed before it ends: the inner processor's ``on_start`` gets the span as it is,
    with the nearest kept ancestor as the current span of the context, and its ``on_end`` gets the span below that one.

    Args:
        processor: hears the spans that are kept.
        is_ai_work: whether a span that starts is kept. By default it is kept if its instrumentation scope is
            runspan's, the Anthropic SDK's or one of OpenInference's, or if an attribute begins with ``gen_ai.``,
            ``langchain.``, ``llm.``, ``openinference.`` or ``traceloop.``. A span for which it fails is kept.

    Raises:
        TypeError: if an argument is of another type; it names the argument and the value.

    Example:
        ``provider.add_span_processor(AiOnlySpanProcessor(BatchSpanProcessor(exporter)))``
    """

    def __init__(self, processor: SpanProcessor, *, is_ai_work: Callable[[ReadableSpan], bool] | None = None) -> None:
        super().__init__(processor)
        if is_ai_work is not None and not callable(is_ai_work):
            raise TypeError(f"is_ai_work is {shown(is_ai_work)}; it must be a function of a span.")
        self._is_ai_work = is_ai_work or _is_ai_work
        self._decisions = _Decisions()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Decide on a span."""
        decision = self._decide(span)
        self._decisions.put(span, decision)
        if not decision.is_kept:
            return
        if decision.is_moved:
            parent = INVALID_SPAN if decision.parent is None else NonRecordingSpan(decision.parent)
            parent_context = trace.set_span_in_context(parent, parent_context)
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a kept span on; one that started before this processor was added is decided on now."""
        decision = self._decisions.get(span.context) or self._decide(span)
        if decision.is_kept:
            self._processor.on_end(SpanCopy(span, parent=decision.parent) if decision.is_moved else span)

    def _decide(self, span: ReadableSpan) -> "_Decision":
        is_kept = attempt(self._is_ai_work, span, default=True)
        parent = self._decisions.get(span.parent)
        if parent is not None and not parent.is_kept:
            return _Decision(is_kept, is_moved=True, parent=parent.parent)
        has_remote_parent = parent is None and span.parent is not None and span.parent.is_remote
        return _Decision(is_kept, is_moved=False, parent=None if has_remote_parent else span.parent)


class _Decision(NamedTuple):
    """What is decided about a span.

    ``parent`` is what a moved span goes below, and the children of a dropped one: the nearest kept ancestor, if any.
    """

    is_kept: bool
    is_moved: bool
    parent: SpanContext | None


class _Decisions:
    """What is decided about each span as long as the span object lives, and a while longer.

    A context holds its span, so a span that may still get children is known. The while is for contexts made of bare
    ids, and for spans that end while they are being collected. Spans that never end don't pile up. Nothing here takes
    a lock: spans start and end in the middle of a collection, too.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[int, int], tuple[_Decision, ref[Span]]] = {}
        self._collected: deque[tuple[int, int]] = deque()

    def put(self, span: Span, decision: _Decision) -> None:
        context = span.get_span_context()
        key = (context.trace_id, context.span_id)
        self._entries[key] = (decision, ref(span, partial(self._on_collected, key)))

    def get(self, context: SpanContext | None) -> _Decision | None:
        entry = self._entries.get((context.trace_id, context.span_id)) if context is not None else None
        return entry[0] if entry is not None else None

    def _on_collected(self, key: tuple[int, int], _: object) -> None:
        self._collected.append(key)
        if len(self._collected) > _REMEMBERED_SPANS:
            self._entries.pop(self._collected.popleft(), None)


def _is_ai_work(span: ReadableSpan) -> bool:
    scope = span.instrumentation_scope.name if span.instrumentation_scope is not None else ""
    return (
        scope == "runspan"
        or scope.startswith(_SCOPES)
        or any(key.startswith(_ATTRIBUTES) for key in span.attributes or ())
    )
