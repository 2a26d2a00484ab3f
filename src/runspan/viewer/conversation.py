"""The messages of a trace, each once; what a call of a model read is a list of them."""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from runspan.rebuild.facts import NAMES, input_messages, output_messages
from runspan.rebuild.span_data import SpanData, dicts_in, from_json, value
from runspan.viewer.spans import ViewedSpan, shown_value

_WITH_MESSAGES: Final = ("model", "agent", "graph")
# What an answer has that the same message lacks when it is read again.
_OF_ANSWERS: Final = "finish_reason"
_AS_SHOWN: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


class Conversation:
    """The messages and tool definitions of a trace, in the order in which they came."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.tools: list[Any] = []
        self._message_at: dict[bytes, int] = {}
        self._tool_at: dict[bytes, int] = {}
        self._begins = _Beginnings()

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
            span.known, span.previous = self._begins.find(span.input)
            self._begins.add(index, [*span.input, *span.output])


class _Beginnings:
    """The lists of messages of all calls, as a tree of what they begin with."""

    def __init__(self) -> None:
        self._next: dict[tuple[int, int], int] = {}  # from a node and a message to the node after it
        self._latest: list[int | None] = [None]  # of each node, the latest call that begins so

    def add(self, index: int, messages: Iterable[int]) -> None:
        """Enter the messages of a call, given its index."""
        node = 0
        for message in messages:
            node = self._next.setdefault((node, message), len(self._latest))
            if node == len(self._latest):
                self._latest.append(index)
            self._latest[node] = index

    def find(self, messages: Iterable[int]) -> tuple[int, int | None]:
        """Return how many messages at the beginning a call before had, and the latest one that had as many."""
        node = number = 0
        for message in messages:
            after = self._next.get((node, message))
            if after is None:
                break
            node, number = after, number + 1
        return number, self._latest[node]


def _index(values: list[Any], known: dict[bytes, int], value: Any) -> int:
    try:
        key = orjson.dumps(value, option=_AS_SHOWN)
    except TypeError:  # it is not as the page can read it
        value = shown_value(value)
        key = orjson.dumps(value, option=_AS_SHOWN)
    if key not in known:
        known[key] = len(values)
        values.append(value)
    return known[key]


def _bare(message: Any) -> Any:
    return {name: each for name, each in message.items() if name != _OF_ANSWERS}
