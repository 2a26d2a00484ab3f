"""Traces in a notebook: static pages below the cells, without a server."""

import base64
import os
from collections.abc import Iterable, Sequence
from html import escape

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from runspan._encoding import encode_repaired
from runspan.recording.otlp_file import read_recording
from runspan.recording.recorded_span import RecordedSpan
from runspan.viewer.page import static_page
from runspan.viewer.sources import read_source

_HEIGHT_PIXELS = 640
_MOST_SPANS = 20_000


class ShownTraces:
    """Traces that a notebook shows as a page, and Python as a line.

    Args:
        spans: spans that were read.
    """

    def __init__(self, spans: Sequence[RecordedSpan]) -> None:
        self._spans = spans

    def __repr__(self) -> str:
        traces = {span.trace_id for span in self._spans}
        return f"<{len(traces)} trace{'s' * (len(traces) != 1)} of {len(self._spans)} spans>"

    def __len__(self) -> int:
        return len(self._spans)

    def _repr_html_(self) -> str:
        """Return the page within a frame of its own, in which the notebook's page is out of its reach."""
        page = base64.b64encode(static_page(self._spans).encode()).decode()
        return (
            f'<iframe src="data:text/html;charset=utf-8;base64,{page}" width="100%" height="{_HEIGHT_PIXELS}"'
            f' sandbox="allow-scripts allow-downloads allow-popups" title="{escape(repr(self))}"'
            ' style="border: 1px solid #8888; border-radius: 8px"></iframe>'
        )


def show(recording: str | os.PathLike[str] | Iterable[object]) -> ShownTraces:
    """Return traces as a notebook shows them.

    Args:
        recording: a file of OTLP or the folder of a spool; or spans of the SDK, or messages of OTLP.

    Returns:
        What a notebook shows as a page, and Python as a line.

    Raises:
        TypeError: if it is none of these.
        ValueError: if it can't be read; it names the line or byte.
        OSError: if the file can't be opened.

    Example:
        >>> runspan.show("trace.jsonl")
    """
    if isinstance(recording, str | os.PathLike):
        return ShownTraces(read_source(recording))
    return ShownTraces(_read(recording))


class CellSpans(SpanProcessor):
    """Keeps the spans that end, until they are taken."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a sampled span."""
        if span.context is not None and span.context.trace_flags.sampled and len(self._spans) < _MOST_SPANS:
            self._spans.append(span)

    def take(self) -> ShownTraces:
        """Return what has ended since the last time."""
        taken, self._spans = self._spans, []
        return ShownTraces(_read(taken))


def _read(spans: Iterable[object]) -> list[RecordedSpan]:
    if isinstance(spans, Iterable) and not isinstance(spans, bytes | bytearray):
        spans = map(_encoded, spans)
    return read_recording(spans)


def _encoded(item: object) -> object:
    """Return a span of the SDK as it would be sent: a page is UTF-8, and what a span holds may be none."""
    if not isinstance(item, ReadableSpan):
        return item
    message, reasons = encode_repaired([item])
    return item if reasons else message
