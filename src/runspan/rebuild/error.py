"""How a run ended that returned nothing."""

import asyncio
from collections.abc import Callable
from typing import Final

from runspan import semconv
from runspan.payload import clean
from runspan.rebuild.facts import WORDS
from runspan.rebuild.span_data import SpanData, text, text_in


class SpanError(Exception):
    """An error that a span tells of; its text is the description of the span's status, else that of the exception.

    Attributes:
        error_type: the class of the error, or a code, as the span names it; None if it does not.
    """

    def __init__(self, message: str, error_type: str | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type


_OUTCOMES: Final[dict[str, Callable[[], BaseException]]] = {
    "cancelled": asyncio.CancelledError,
    "abandoned": GeneratorExit,
    "interrupted": lambda: SpanError("", "interrupted"),
    "handed_off": lambda: SpanError("", "handed_off"),
}


def error_of(told: SpanData) -> BaseException | None:
    """Return the error that ended a run; None if the run returned."""
    if make := _OUTCOMES.get(text_in(told.attributes.get(semconv.RUN_OUTCOME)) or ""):
        return make()
    if told.error is None:
        return None
    recorded = SpanData("", next((event for name, event in reversed(told.events) if name == "exception"), {}))
    message = clean(told.error) or text(recorded, ("exception.message",)) or ""
    return SpanError(message, text(told, WORDS.error_type) or text(recorded, ("exception.type",)))
