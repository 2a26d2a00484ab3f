"""Spans as callback events of LangChain's: pure functions of their attributes, whoever recorded them."""

from runspan.rebuild.end_events import SpanError, end_event
from runspan.rebuild.facts import kind_of
from runspan.rebuild.span_data import SpanData
from runspan.rebuild.start_events import start_event

__all__ = ["SpanData", "SpanError", "end_event", "kind_of", "start_event"]
