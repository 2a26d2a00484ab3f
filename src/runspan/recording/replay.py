"""Callback handlers driven from recorded spans."""

import os
from collections.abc import Iterable

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry.trace import format_span_id

from runspan.arguments import shown
from runspan.listeners.third_party import ThirdPartyCall, run_id_of
from runspan.listeners.validation import checked_callbacks
from runspan.rebuild import SpanData
from runspan.rebuild.history import Conversations
from runspan.recording.otlp_file import in_order, read_recording
from runspan.recording.recorded_span import RecordedSpan

_Key = tuple[int, int]


def replay(recording: str | os.PathLike[str] | Iterable[object], *, callbacks: Iterable[BaseCallbackHandler]) -> None:
    """Drive callback handlers from a recording, in the original order.

    Args:
        recording: a file of OTLP, in JSON lines (as the Collector's file exporter writes them) or protobuf; or spans
            of the SDK, or messages of OTLP.
        callbacks: the handlers.

    Raises:
        TypeError: if one is no instance of ``BaseCallbackHandler``, or the recording none.
        ValueError: if the recording can't be read; it names the line or byte. Or if it is a list without spans.
        Exception: what a handler with ``raise_error`` raised.

    Example:
        ``runspan.replay("spans.json", callbacks=[LoggingHandler()])``
    """
    checked = checked_callbacks(callbacks)
    spans = read_recording(recording)
    if not spans and not isinstance(recording, str | os.PathLike):
        raise ValueError(
            f"recording is {shown(recording)}, in which are no spans; give those of an exporter, or a path."
        )
    replay_spans(spans, callbacks=checked)


def replay_spans(spans: Iterable[RecordedSpan], *, callbacks: Iterable[BaseCallbackHandler]) -> None:
    """Drive callback handlers from spans that were read already, as ``replay`` does."""
    handlers = checked_callbacks(callbacks)
    calls: dict[_Key, ThirdPartyCall] = {}
    ended: set[_Key] = set()
    conversations = Conversations()
    for moment, span in in_order(spans):
        key = span.trace_id, span.span_id
        attributes = conversations.whole(span.trace_id, format_span_id(span.span_id), span.attributes)
        span_data = SpanData(span.name, attributes, span.events, span.error)
        # An exporter that retried may have delivered a span twice.
        if moment == "start" and key not in calls:
            calls[key] = _call(span, span_data, calls)
            calls[key].start(span_data, handlers)
        elif moment == "end" and key not in ended:
            ended.add(key)
            calls[key].end(span_data)


def _call(span: RecordedSpan, span_data: SpanData, calls: dict[_Key, ThirdPartyCall]) -> ThirdPartyCall:
    parent = calls.get((span.trace_id, span.parent_id)) if span.parent_id is not None else None
    return ThirdPartyCall(span_data, run_id_of(span_data, span.trace_id, span.span_id), parent)
