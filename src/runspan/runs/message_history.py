"""What the models of an invocation have read and answered, so that no message need be recorded twice."""

from typing import NamedTuple
from uuid import UUID

from opentelemetry.trace import SpanContext

# The conversations that may go on side by side in one invocation.
_MOST_CALLS = 16


class Call(NamedTuple):
    """A call of a model: its span has these messages, together with the spans that it refers to itself."""

    run_id: UUID
    span: SpanContext
    messages: tuple[int, ...]
    """Hashes of those that it read, then of the one that it answered: messages themselves may be changed later."""


class MessageHistory:
    """The latest calls of models in an invocation; a tuple that is replaced, since runs work in many threads."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: tuple[Call, ...] = ()

    def begin(self, call: Call) -> None:
        """Remember a call by what it reads."""
        self._calls = (*self._calls[1 - _MOST_CALLS :], call)

    def answer(self, run_id: UUID, message: int) -> None:
        """Add the answer of a call."""
        self._calls = tuple(
            call._replace(messages=(*call.messages, message)) if call.run_id == run_id else call for call in self._calls
        )

    def forget(self, run_id: UUID) -> None:
        """Refer to a call no more: its span has lost its messages."""
        self._calls = tuple(call for call in self._calls if call.run_id != run_id)

    def known(self, messages: tuple[int, ...]) -> tuple[int, SpanContext | None]:
        """Return how many of the first messages a call had, and the span of the call that had the most."""
        most, span = 0, None
        for call in reversed(self._calls):
            if (count := _common(call.messages, messages)) > most:
                most, span = count, call.span
        return most, span


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    count = 0
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            break
        count += 1
    return count
