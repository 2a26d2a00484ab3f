"""Traces in the terminal as they happen: what is open stands below what was printed, and is replaced by its end."""

import sys
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span

from runspan._forking import in_forked_child
from runspan._guard import attempt
from runspan._threads import PatientLock
from runspan._worker import Worker
from runspan.processors.console import (
    DirectSpanProcessor,
    TreeSpanExporter,
    build_tree,
    describe,
    duration_text,
    render_tree,
)
from runspan.runs.table import run_of_span

if TYPE_CHECKING:
    from rich.live import Live

_SECONDS_BETWEEN: Final = 0.12
_MOST_OPEN_TRACES: Final = 50
_MOST_SPANS_OF_A_TRACE: Final = 1_000
_SMALLEST_HEIGHT: Final = 3  # lines


def live_console(trace_url: str | None) -> DirectSpanProcessor:
    """Return what prints traces as they happen, or when they end if standard output is no terminal, or no UTF-8.

    Raises:
        ValueError: if rich is not installed.
    """
    try:
        from rich.console import Console  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        raise ValueError("console='live' needs rich. Install it: pip install 'runspan[cli]'") from None
    exporter = TreeSpanExporter(trace_url=trace_url)
    console = Console()
    is_live = console.is_terminal and not console.options.ascii_only
    return LiveConsoleSpanProcessor(exporter) if is_live else DirectSpanProcessor(exporter)


class LiveConsoleSpanProcessor(DirectSpanProcessor):
    """Show the traces that are going on; those that are complete are printed above by the exporter.

    What else the application prints meanwhile appears above, too. A thread draws while there is something open.
    """

    def __init__(self, exporter: TreeSpanExporter) -> None:
        super().__init__(exporter)
        self.reset_after_fork()
        _processors.add(self)

    def reset_after_fork(self) -> None:
        """Forget what is open: the parent process shows it."""
        self._open: dict[int, dict[int, ReadableSpan]] = {}
        self._live: Live | None = None
        self._changing = PatientLock()
        self._worker = Worker(self._draw)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  the interface's
        """Show a sampled span."""
        if self._closed or not span.context.trace_flags.sampled:
            return
        if span.context.trace_id not in self._open:
            if len(self._open) >= _MOST_OPEN_TRACES:
                return
            self._open[span.context.trace_id] = {}
        spans = self._open[span.context.trace_id]
        if len(spans) < _MOST_SPANS_OF_A_TRACE:
            spans[span.context.span_id] = span
        # Here and not in the thread: what the application prints next has to know of it.
        attempt(self._begin, default=None)
        self._worker.wake()

    def on_end(self, span: ReadableSpan) -> None:
        """Show that a span has ended; with its root a trace is printed and leaves."""
        if span.context is None:
            return
        spans = self._open.get(span.context.trace_id, {})
        if span.parent is None or span.parent.is_remote:
            self._open.pop(span.context.trace_id, None)
        elif span.context.span_id in spans:
            spans[span.context.span_id] = span
        super().on_end(span)

    def shutdown(self) -> None:
        """Print what is left, and give the terminal back."""
        self._open.clear()
        self._worker.wake()
        deadline = time.monotonic() + 1
        while self._live is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        super().shutdown()

    def _draw(self) -> float:
        """Draw what is open now; return when to draw again."""
        self._begin()
        if not self._open and self._changing.acquire(0):
            try:
                self._end()
            finally:
                self._changing.release()
        if self._live is None:
            return inf
        self._live.refresh()
        return time.monotonic() + _SECONDS_BETWEEN

    def _begin(self) -> None:
        """Have what is open shown from now on, unless another thread is about to change that."""
        if self._live is None and self._changing.acquire(0):
            try:
                if self._live is None and self._open:
                    self._live = _started_live(self._text)
            finally:
                self._changing.release()

    def _end(self) -> None:
        if self._live is not None and not self._open:
            self._live.stop()
            self._live = None

    def _text(self, height: int) -> str:
        """Return the open traces, of more lines than the terminal has the last ones."""
        lines = [line for spans in list(self._open.values()) for line in _lines(list(spans.values()))]
        kept = lines[-max(height - 1, _SMALLEST_HEIGHT) :]
        return "\n".join(kept if len(kept) == len(lines) else [f"… {len(lines) - len(kept)} lines above", *kept[1:]])


def _started_live(text: Callable[[int], str]) -> "Live":
    from rich.console import Console  # noqa: PLC0415  an extra
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=sys.stdout, highlight=False)

    def renderable() -> Text:
        return Text(text(console.height), no_wrap=True, overflow="ellipsis")

    live = Live(console=console, auto_refresh=False, transient=True, get_renderable=renderable)
    live.start()
    return live


def _lines(spans: list[ReadableSpan]) -> Iterator[str]:
    yield from render_tree(build_tree(spans), _described)


def _described(span: ReadableSpan) -> str:
    if span.end_time is not None or span.start_time is None:
        return describe(span)
    parts = [describe(span), f"… {duration_text((time.time_ns() - span.start_time) / 1e9)}"]
    run = run_of_span(span.context)
    stream = run.stream if run is not None else None
    if stream is not None and stream.chunks:
        parts.append(f"{len(stream.chunks)} chunks")
    return "  ".join(parts)


_processors: WeakSet[LiveConsoleSpanProcessor] = WeakSet()


@in_forked_child
def _reset_after_fork() -> None:
    for processor in _processors:
        processor.reset_after_fork()
