"""What an error says about how a run ended."""

import asyncio
from typing import Literal, NamedTuple

from runspan.payload.text import describe


class Failure(NamedTuple):
    """The end of a run that returned nothing."""

    outcome: Literal["error", "cancelled", "abandoned", "interrupted"]
    error_type: str
    message: str


def failure(error: BaseException) -> Failure:
    """Tell an error from a cancellation, a generator that nobody reads on, and LangGraph's control flow."""
    return Failure(_outcome(error), _error_type(type(error)), describe(error))


def _outcome(error: BaseException) -> Literal["error", "cancelled", "abandoned", "interrupted"]:
    if isinstance(error, GeneratorExit):
        return "abandoned"
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "interrupted" if _is_control_flow(type(error)) else "error"


def _is_control_flow(kind: type[BaseException]) -> bool:
    """Tell whether LangGraph raises this to pause a graph or to leave it; without importing LangGraph."""
    return any(base.__name__ == "GraphBubbleUp" and base.__module__ == "langgraph.errors" for base in kind.__mro__)


def _error_type(kind: type[BaseException]) -> str:
    if kind.__module__ == "builtins":
        return kind.__name__
    return describe(f"{kind.__module__}.{kind.__qualname__}")
