"""What a span says, as callback events of LangChain's: pure functions of attributes, whoever wrote them."""

from runspan.rebuild.end import end_event
from runspan.rebuild.error import SpanError
from runspan.rebuild.facts import kind_of
from runspan.rebuild.span_data import Told
from runspan.rebuild.start import start_event

__all__ = ["SpanError", "Told", "end_event", "kind_of", "start_event"]
