"""Spans that other callback handlers start for the runs of LangChain, and that they make current.

Langfuse's handler and OpenLLMetry's do. Such a span stands between ours in the context and means the same run as one of
ours, so it is looked through where the parent of a run is looked for. A span is a handler's if it starts inside a
callback: while a function of LangChain's callback managers, or the handler's method in a thread of its own, is on the
stack, and no other of LangChain's or LangGraph's is nearer.
"""

import sys
from collections.abc import Iterable
from types import FrameType
from typing import Final
from weakref import WeakKeyDictionary

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks import manager as langchain_manager
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext

_frame_at = sys._getframe  # noqa: SLF001  a documented function of CPython

_MANAGER_GLOBALS: Final = vars(langchain_manager)
_PACKAGES: Final = ("langchain_core.", "langgraph.")
_CALLBACKS: Final = ("langchain_core.callbacks.", "langchain_core.tracers.")
# How many calls may lie between LangChain's of a handler and the start of a span; those known need nine.
_NEAR: Final = 12

_current_before: Final[WeakKeyDictionary[Span, Span | None]] = WeakKeyDictionary()


def is_in_callback() -> bool:
    """Return whether the caller works for a callback handler, and not for a run's body."""
    innermost = frame = _frame_at(1)
    for _ in range(_NEAR):
        if frame.f_globals is _MANAGER_GLOBALS or _is_callback(frame):
            return _has_no_body(innermost, frame)
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _is_callback(frame: FrameType) -> bool:
    """Return whether a frame is of a handler's method: async runs call those of sync handlers in threads."""
    is_named_so = frame.f_code.co_name.startswith("on_")
    return is_named_so and isinstance(frame.f_locals.get("self"), BaseCallbackHandler)


def _has_no_body(innermost: FrameType, manager: FrameType) -> bool:
    """Return whether nothing of LangChain's but callbacks is between two frames: a handler may run chains, too."""
    frame: FrameType | None = innermost
    while frame is not None and frame is not manager:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_PACKAGES) and not module.startswith(_CALLBACKS):
            return False
        frame = frame.f_back
    return True


def note(span: Span, current: Span) -> None:
    """Remember a handler's span, and what was current when it started."""
    _current_before[span] = None if is_of_handler(current) else current


def is_of_handler(span: object) -> bool:
    """Return whether another handler started a span."""
    return span in _current_before


def current_before(span: Span) -> Span | None:
    """Return what was current when a handler started its span; None if that was a span of a handler, too."""
    return _current_before.get(span)


def repeats(span: object, others: Iterable[Span]) -> bool:
    """Return whether a span has no more than the ids of another, or none: such are those of a handler switched off."""
    if type(span) is not NonRecordingSpan:
        return False
    ids = span.get_span_context()
    return not has_ids(span) or any(each.get_span_context() == ids for each in others)


def has_ids(span: Span) -> bool:
    """Return whether a span has valid ids; one that MLflow drops has no context at all, which the SDK allows."""
    ids: SpanContext | None = span.get_span_context()
    return ids is not None and ids.is_valid
