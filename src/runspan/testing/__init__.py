"""Tests by traces: what an agent, a graph or a chain did, as a literal. pytest has it as the fixture ``trace``."""

from runspan.testing.model_calls import Message, Tokens
from runspan.testing.recorded_span import RecordedSpan
from runspan.testing.recorded_trace import RecordedTrace
from runspan.testing.trace import Trace

__all__ = ["Message", "RecordedSpan", "RecordedTrace", "Tokens", "Trace"]
