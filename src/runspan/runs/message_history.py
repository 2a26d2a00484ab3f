"""What the models of an invocation have read and answered, so that no message need be recorded twice."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from langchain_core.messages import BaseMessage
from opentelemetry.trace import SpanContext

# The conversations that may go on side by side in one invocation.
_MOST_CALLS = 16
_COMPARED = ("content", "tool_calls", "tool_call_id")


class Call(NamedTuple):
    """A call of a model: its span has these messages, together with the spans that it refers to itself."""

    run_id: UUID
    span: SpanContext
    messages: Sequence[BaseMessage]
    """Those that it read, then the one that it answered."""


class MessageHistory:
    """The latest calls of models in an invocation; a list that is replaced, since runs work in many threads."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: tuple[Call, ...] = ()

    def begin(self, call: Call) -> None:
        """Remember a call by what it reads."""
        self._calls = (*self._calls[1 - _MOST_CALLS :], call)

    def answer(self, run_id: UUID, message: BaseMessage) -> None:
        """Add the answer of a call."""
        self._calls = tuple(
            call._replace(messages=[*call.messages, message]) if call.run_id == run_id else call for call in self._calls
        )

    def known(self, messages: Sequence[BaseMessage]) -> tuple[int, SpanContext | None]:
        """Return how many of the first messages a call had, and the span of the call that had the most."""
        most, span = 0, None
        for call in reversed(self._calls):
            if (count := _common(call.messages, messages)) > most:
                most, span = count, call.span
        return most, span


def _common(one: Sequence[BaseMessage], other: Sequence[BaseMessage]) -> int:
    count = 0
    for mine, its in zip(one, other, strict=False):
        if not _is_same(mine, its):
            break
        count += 1
    return count


def _is_same(one: BaseMessage, other: BaseMessage) -> bool:
    # A streamed answer is of another class than the message that goes on.
    if one is other:
        return True
    return one.type.removesuffix("MessageChunk").lower() == other.type.removesuffix("MessageChunk").lower() and all(
        getattr(one, name, None) == getattr(other, name, None) for name in _COMPARED
    )
