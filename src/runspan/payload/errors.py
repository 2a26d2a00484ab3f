"""How a run ended, by its error."""

import asyncio
from typing import Literal, NamedTuple

from runspan.payload.commands import is_of_langgraph
from runspan.payload.text import clean, described, name_in

Outcome = Literal["error", "cancelled", "abandoned", "interrupted", "handed_off"]


class Failure(NamedTuple):
    """The end of a run that returned nothing."""

    outcome: Outcome
    error_type: str


def failure(error: BaseException) -> Failure:
    """Return how a run ended: an error, a cancellation, a generator that was left, or LangGraph's control flow."""
    return Failure(_outcome(error), _error_type(type(error)))


def error_message(error: BaseException) -> str:
    """Return the text of an error, of any length; only where it is recorded, as it may hold a whole state."""
    return clean(described(error))


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, GeneratorExit):
        return "abandoned"
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if _is_raised_by_graphs(error, "ParentCommand"):
        return "handed_off"
    return "interrupted" if _is_raised_by_graphs(error, "GraphBubbleUp") else "error"


def _is_raised_by_graphs(error: BaseException, name: str) -> bool:
    """Return whether LangGraph raises this to leave a graph (``ParentCommand``), or to pause or leave it."""
    return is_of_langgraph(type(error), "langgraph.errors", name)


def _error_type(kind: type[BaseException]) -> str:
    is_builtin = kind.__module__ == "builtins"
    return name_in(kind.__name__ if is_builtin else f"{kind.__module__}.{kind.__qualname__}") or "Exception"
