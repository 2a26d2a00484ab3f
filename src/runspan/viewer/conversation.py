"""The messages of a trace, each once; what a call of a model read is a list of them."""

from typing import Any, Final

import orjson

from runspan.rebuild.facts import NAMES, input_messages, output_messages
from runspan.rebuild.span_data import SpanData, dicts_in, from_json, value
from runspan.viewer.spans import ViewedSpan, shown_value

_WITH_MESSAGES: Final = ("model", "agent", "graph")
# What an answer has that the same message lacks when it is read again.
_OF_ANSWERS: Final = "finish_reason"


class Conversation:
    """The messages and tool definitions of a trace, in the order in which they came."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.tools: list[Any] = []
        self._message_at: dict[bytes, int] = {}
        self._tool_at: dict[bytes, int] = {}
        self._calls: list[tuple[int, list[int]]] = []

    def add(self, index: int, span: ViewedSpan, data: SpanData) -> None:
        """Give a span its messages; spans come in the order of their starts.

        Args:
            index: where the span will stand among those of the trace.
            span: what is shown of it.
            data: its attributes, with all messages that it read.
        """
        if span.kind not in _WITH_MESSAGES:
            return
        span.input = [_index(self.messages, self._message_at, _bare(each)) for each in input_messages(data)]
        span.output = [_index(self.messages, self._message_at, _bare(each)) for each in output_messages(data)]
        definitions = dicts_in(from_json(value(data, NAMES.tools)))
        span.tools = [_index(self.tools, self._tool_at, each) for each in definitions]
        if span.kind == "model":
            span.known, span.previous = self._known(span.input)
            self._calls.append((index, [*span.input, *span.output]))

    def _known(self, read: list[int]) -> tuple[int, int | None]:
        """Return how many messages at the beginning a call before had, and the one that had the most."""
        most, previous = 0, None
        for index, messages in reversed(self._calls):
            if (number := _common(messages, read)) > most:
                most, previous = number, index
        return most, previous


def _index(values: list[Any], known: dict[bytes, int], value: Any) -> int:
    shown = shown_value(value)
    key = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    if key not in known:
        known[key] = len(values)
        values.append(shown)
    return known[key]


def _bare(message: Any) -> Any:
    return {name: each for name, each in message.items() if name != _OF_ANSWERS}


def _common(one: list[int], other: list[int]) -> int:
    number = 0
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            break
        number += 1
    return number
