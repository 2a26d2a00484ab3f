"""LangGraph's events: a graph waits for its user, a graph goes on."""

import functools
import logging
import sys
from types import FrameType
from typing import Any, Protocol
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from runspan import semconv
from runspan.langchain import checkpoints
from runspan.runs.run import Run


class LifecycleEvent(Protocol):
    """LangGraph's ``GraphInterruptEvent`` or ``GraphResumeEvent``."""

    run_id: UUID | None
    checkpoint_id: str
    checkpoint_ns: tuple[str, ...]


@functools.cache
def receive_graph_events(kind: Any) -> None:
    """Make the class of our handler one of those whose instances alone LangGraph notifies of interrupts.

    LangGraph's class becomes its base, so that each handler keeps its class, whoever derived it. LangGraph has it from
    1.1.10 on. This is done only when a graph runs, for importing LangGraph takes time.
    """
    callbacks = sys.modules.get("langgraph.callbacks")
    if callbacks is None:
        return
    try:
        kind.__bases__ = (callbacks.GraphCallbackHandler,)
    except TypeError as error:
        logging.getLogger("runspan").warning(
            "LangGraph will not notify %s of interrupts, so graphs that wait for their user are not marked: %s. In the"
            " bases of your class, name %s before GraphCallbackHandler.",
            kind.__name__,
            error,
            kind.__name__,
        )


def put_into_config(handler: BaseCallbackHandler, starter: FrameType) -> None:
    """Put a handler that LangChain added to the run of a graph into the config of the run.

    LangGraph notifies of interrupts none but the handlers that are there.

    Args:
        handler: what was not passed to the run.
        starter: the frame of LangGraph's that starts the run, with the config that it made for it.
    """
    config = starter.f_locals.get("config")
    if not isinstance(config, dict):
        return
    given = config.get("callbacks") or []
    if isinstance(given, list) and all(each is not handler for each in given):
        config["callbacks"] = [*given, handler]


def receives_graph_events(handler: object) -> bool:
    """Return whether a callback handler is of the kind that LangGraph notifies of interrupts."""
    callbacks = sys.modules.get("langgraph.callbacks")
    return callbacks is not None and isinstance(handler, callbacks.GraphCallbackHandler)


def note_interrupt(run: Run, event: LifecycleEvent) -> None:
    """Note on the span of a graph, and for the run that will resume it, where it waits."""
    run.record.add({semconv.RUN_OUTCOME: "interrupted", semconv.CHECKPOINT_ID: event.checkpoint_id})
    checkpoints.note_interrupted(event.checkpoint_id, run.span.get_span_context())


def note_resume(run: Run, event: LifecycleEvent) -> None:
    """Note where a graph goes on, and link it to the span that was interrupted there."""
    run.span.set_attribute(semconv.CHECKPOINT_ID, event.checkpoint_id)
    interrupted = checkpoints.interrupted_at(event.checkpoint_id)
    if interrupted is not None:
        run.span.add_link(interrupted, {semconv.LINK_TYPE: "resumed_from"})
