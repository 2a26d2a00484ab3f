"""Traces as trees in the terminal."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO
from weakref import WeakSet

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode, format_trace_id

from runspan import semconv
from runspan._forking import in_forked_child
from runspan._guard import attempt
from runspan._threads import PatientLock, SimpleQueue
from runspan.settings import trace_link

_MOST_OPEN_TRACES = 1_000
_MOST_SPANS_OF_A_TRACE = 10_000
_LONGEST_MESSAGE = 200


@dataclass
class Node:
    """A span and the spans below it."""

    span: ReadableSpan
    children: "list[Node]" = field(default_factory=list)


def build_tree(spans: Iterable[ReadableSpan]) -> list[Node]:
    """Return the roots, siblings in the order in which they started; a span whose parent is missing is a root."""
    nodes = {span.context.span_id: Node(span) for span in sorted(spans, key=_start) if span.context is not None}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(node.span.parent.span_id) if node.span.parent is not None else None
        (roots if parent is None else parent.children).append(node)
    return roots


def render_tree(roots: Sequence[Node], label: Callable[[ReadableSpan], str] | None = None) -> Iterator[str]:
    """Yield a line for each span, gutters first; ``label`` returns what else stands there, ``describe`` if left out."""
    label = label or describe
    waiting = [(root, "", "") for root in reversed(roots)]
    while waiting:
        node, first, rest = waiting.pop()
        yield first + label(node.span)
        last = len(node.children) - 1
        for position in range(last, -1, -1):
            corner, below = ("└─ ", "   ") if position == last else ("├─ ", "│  ")
            waiting.append((node.children[position], rest + corner, rest + below))


def describe(span: ReadableSpan) -> str:
    """Return a span's name and duration, and for a model run what it used."""
    attributes = span.attributes or {}
    parts = [span.name, _model(span.name, attributes), _duration(span), _tokens(attributes)]
    first_chunk = attributes.get(semconv.TIME_TO_FIRST_CHUNK)
    if isinstance(first_chunk, int | float):
        parts.append(f"first chunk {duration_text(first_chunk)}")
    parts += [_outcome(span, attributes), _error(span, attributes)]
    return "  ".join(printable(part) for part in parts if part)


class TreeSpanExporter(SpanExporter):
    """Print a trace as a tree when its root in this process has ended.

    Spans that end after their root come out as a small tree of their own at ``force_flush`` or ``shutdown``, and
    ``shutdown`` prints what has no ended root as well.

    Args:
        stream: where to print; standard output if left out.
        trace_url: a template of the link to a trace, as ``Settings.trace_url`` has, to be printed behind its id.
    """

    def __init__(self, stream: TextIO | None = None, trace_url: str | None = None) -> None:
        self._stream = stream
        self._trace_url = trace_url
        self.reset_after_fork()
        _exporters.add(self)

    def reset_after_fork(self) -> None:
        """Forget the spans that wait for their root: the parent process prints them."""
        # A span may end inside a garbage collection that interrupts the printing, so no thread waits for the lock.
        self._inbox: SimpleQueue[ReadableSpan] = SimpleQueue()
        self._printing = PatientLock()
        self._open: dict[int, deque[ReadableSpan]] = {}
        self._printed: dict[int, None] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take ended spans and print the traces that they complete."""
        for span in spans:
            self._inbox.put(span)
        self._print_what_is_complete()
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  nothing here waits
        """Print the spans that came after their root."""
        self._print_what_is_complete()
        with self._printing:
            for trace_id in [trace_id for trace_id in self._open if trace_id in self._printed]:
                self._print(trace_id)
        return True

    def shutdown(self) -> None:
        """Print all that is left."""
        self._print_what_is_complete()
        with self._printing:
            for trace_id in list(self._open):
                self._print(trace_id)

    def _print_what_is_complete(self) -> None:
        while not self._inbox.empty() and self._printing.acquire(0):
            try:
                while not self._inbox.empty():
                    self._take(self._inbox.get())
            finally:
                self._printing.release()

    def _take(self, span: ReadableSpan) -> None:
        if span.context is None:
            return
        trace_id = span.context.trace_id
        if trace_id not in self._open:
            self._open[trace_id] = deque(maxlen=_MOST_SPANS_OF_A_TRACE)
            _keep_newest(self._open)
        self._open[trace_id].append(span)
        if span.parent is None or span.parent.is_remote:
            self._print(trace_id)

    def _print(self, trace_id: int) -> None:
        roots = build_tree(self._open.pop(trace_id))
        self._printed[trace_id] = None
        _keep_newest(self._printed)
        lines = [self._head(format_trace_id(trace_id)), *render_tree(roots)]
        stream = self._stream or sys.stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = "".join(f"{line}\n" for line in lines)
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()

    def _head(self, trace_id: str) -> str:
        url = trace_link(self._trace_url, trace_id)
        return f"trace {trace_id}  {url}" if url is not None else f"trace {trace_id}"


class DirectSpanProcessor(SpanProcessor):
    """Hand each ended span to its exporter at once, in the thread that ended it; for exporters that never wait."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._closed = False

    def on_end(self, span: ReadableSpan) -> None:
        """Export a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled and not self._closed:
            attempt(self._exporter.export, (span,), default=SpanExportResult.FAILURE)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let the exporter give out what it holds back."""
        return attempt(self._exporter.force_flush, timeout_millis, default=False)

    def close(self, timeout_seconds: float) -> bool:
        """Let the exporter give out what it holds back and shut it down; return whether it could."""
        is_given_out = self._closed or self.force_flush(int(timeout_seconds * 1000))
        self.shutdown()
        return is_given_out

    def shutdown(self) -> None:
        """Shut the exporter down; a second call does nothing."""
        if not self._closed:
            self._closed = True
            attempt(self._exporter.shutdown, default=None)


_exporters: WeakSet[TreeSpanExporter] = WeakSet()


@in_forked_child
def _reset_after_fork() -> None:
    for exporter in _exporters:
        exporter.reset_after_fork()


def _keep_newest(table: dict[int, deque[ReadableSpan]] | dict[int, None]) -> None:
    while len(table) > _MOST_OPEN_TRACES:
        del table[next(iter(table))]


def _start(span: ReadableSpan) -> int:
    return span.start_time or 0


def _model(name: str, attributes: Mapping[str, object]) -> str:
    model = attributes.get(semconv.REQUEST_MODEL) or attributes.get(semconv.RESPONSE_MODEL) or ""
    return "" if str(model) in name else str(model)


def _duration(span: ReadableSpan) -> str:
    if span.start_time is None or span.end_time is None:
        return ""
    return duration_text((span.end_time - span.start_time) / 1e9)


def duration_text(seconds: float) -> str:
    """Return seconds as a text of two or three digits, with a unit."""
    if seconds < 0.00995:  # noqa: PLR2004  from here on two digits need no fraction
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.2f} s"  # noqa: PLR2004  1 s, rounded


def _tokens(attributes: Mapping[str, object]) -> str:
    counts = {"in": attributes.get(semconv.INPUT_TOKENS), "out": attributes.get(semconv.OUTPUT_TOKENS)}
    text = ", ".join(f"{count} {direction}" for direction, count in counts.items() if count is not None)
    cached = attributes.get(semconv.CACHE_READ_TOKENS)
    return f"{text} ({cached} cached)" if text and cached else text


def _outcome(span: ReadableSpan, attributes: Mapping[str, object]) -> str:
    outcome = attributes.get(semconv.RUN_OUTCOME)
    is_shown_already = outcome is None or (outcome == "error" and span.status.status_code is StatusCode.ERROR)
    return "" if is_shown_already else f"[{outcome}]"


def _error(span: ReadableSpan, attributes: Mapping[str, object]) -> str:
    if span.status.status_code is not StatusCode.ERROR:
        return ""
    kind = str(attributes.get(semconv.ERROR_TYPE) or "")
    message = " ".join((span.status.description or "").split())[:_LONGEST_MESSAGE]
    named = message if message.startswith(kind) else f"{kind}: {message}".removesuffix(": ")
    return f"[error] {named}".rstrip()


def printable(text: str) -> str:
    """Keep a name or a message from moving the cursor or breaking the line."""
    return "".join(character if character.isprintable() else "?" for character in text)
