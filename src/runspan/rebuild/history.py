"""Conversations of which each span has only what was new, put together again."""

from collections.abc import Mapping, Sequence
from typing import Any

from runspan import semconv
from runspan.attributes import Attributes
from runspan.payload.text import text_in
from runspan.rebuild.span_data import dicts_in, structure_in


class Conversations:
    """The messages of spans that were read, in the order of their starts."""

    def __init__(self) -> None:
        self._messages: dict[tuple[int, str], Sequence[Any]] = {}

    def whole(self, trace_id: int, span_id: str, attributes: Attributes) -> Attributes:
        """Return the attributes of a span with all messages that its model read, if they are known."""
        read = _messages(attributes, semconv.INPUT_MESSAGES)
        if before := text_in(attributes.get(semconv.HISTORY_SPAN)):
            known = self._messages.get((trace_id, before), ())
            count = attributes.get(semconv.HISTORY_MESSAGES)
            if not isinstance(count, int) or not 0 < count <= len(known):
                return attributes  # nor is it known what later spans refer to by numbers
            read = [*known[:count], *read]
            attributes = {**attributes, semconv.INPUT_MESSAGES: read}
        if read:
            self._messages[trace_id, span_id] = [*read, *_messages(attributes, semconv.OUTPUT_MESSAGES)]
        return attributes


def _messages(attributes: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = attributes.get(name)
    return [] if value is None else dicts_in(structure_in(value))
