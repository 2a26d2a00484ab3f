"""What a span says, as callback events of LangChain's: pure functions of attributes, whoever wrote them."""

from runspan.rebuild.end_events import end_event
from runspan.rebuild.error import SpanError
from runspan.rebuild.facts import kind_of
from runspan.rebuild.span_data import SpanData
from runspan.rebuild.start_events import start_event

__all__ = ["SpanData", "SpanError", "end_event", "kind_of", "start_event"]
