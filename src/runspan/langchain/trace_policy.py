"""LangGraph's ``TracePolicy``: what a node's inputs and outputs are to tracers.

LangGraph keeps to it for LangChain's tracers alone, so others hear the node's own values; a span records as a tracer.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from runspan._guard import attempt
from runspan.callback_event import Event
from runspan.listeners.dispatch import dispatch
from runspan.runs.interfaces import EventSink

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

Transform = Callable[[Any], Any]
Transforms = tuple[Transform | None, Transform | None]
"""How inputs and how outputs are to be recorded; None as they are."""
AS_THEY_ARE: Final[Transforms] = (None, None)


def transforms_of(starting: object) -> Transforms:
    """Return how inputs and outputs of a run are to be recorded, by the object of LangGraph's that starts it."""
    policy = getattr(starting, "trace_policy", None)
    if policy is None:
        return AS_THEY_ARE
    return getattr(policy, "process_inputs", None), getattr(policy, "process_outputs", None)


def recorded(value: object, transform: Transform | None) -> object:
    """Return a value as it is to be recorded; as it is where its policy fails, as LangGraph does."""
    return value if transform is None else attempt(transform, value, default=value)


def dispatch_as_recorded(
    callbacks: "Sequence[BaseCallbackHandler]", event: Event, outbox: EventSink | None, transform: Transform | None
) -> None:
    """Call handlers with an event, tracers with its last argument as it is to be recorded.

    Raises:
        Exception: what a sync handler with ``raise_error`` raised.
    """
    tracers = tuple(filter(_is_tracer, callbacks)) if transform is not None else ()
    if not tracers:
        dispatch(callbacks, event, outbox)
        return
    dispatch([each for each in callbacks if each not in tracers], event, outbox)
    dispatch(tracers, Event(event.name, (*event.args[:-1], recorded(event.args[-1], transform)), event.kwargs), outbox)


def _is_tracer(handler: "BaseCallbackHandler") -> bool:
    """Return whether a handler is one of LangChain's tracers."""
    tracers = sys.modules.get("langchain_core.tracers.base")
    return tracers is not None and isinstance(handler, tracers.BaseTracer)
