"""Which function of LangChain's starts the run that a handler is notified of, and for which object."""

from collections.abc import Mapping
from types import FrameType
from typing import Final, NamedTuple

from langchain_core.callbacks import manager as langchain_manager

GRAPH_MODULE: Final = "langgraph.pregel.main"
"""The module whose functions start the run of a graph."""
_MANAGER_GLOBALS: Final = vars(langchain_manager)
_MOST_FRAMES: Final = 5  # from the function that starts a run to the one that was called with its config


class StartFrames(NamedTuple):
    """The frames that announce the start of a run."""

    caller: FrameType
    """The one that called the handler."""
    starter: FrameType
    """The one that started the run; that of the caller where somebody drives the handler by hand."""
    manager: object | None
    """The callback manager that announces the run, None without one."""


def start_frames(caller: FrameType) -> StartFrames:
    """Return the frames of a start, given the one that called the handler."""
    frame: FrameType | None = caller
    while frame is not None and frame.f_globals is not _MANAGER_GLOBALS:
        frame = frame.f_back
    if frame is None:
        return StartFrames(caller, caller, None)
    manager, frame = frame, frame.f_back
    while frame is not None and frame.f_globals is _MANAGER_GLOBALS:
        manager, frame = frame, frame.f_back
    return StartFrames(caller, frame or manager, manager.f_locals.get("self"))


def configurable_at(frames: StartFrames) -> Mapping[str, object]:
    """Return what the run being announced was called with under ``configurable``, if that is found on the stack."""
    frame: FrameType | None = frames.starter
    for _ in range(_MOST_FRAMES):
        if frame is None or not str(frame.f_globals.get("__name__")).startswith(("langchain", "langgraph")):
            break
        config = frame.f_locals.get("config")
        found = config.get("configurable") if isinstance(config, dict) else None
        if isinstance(found, dict):
            return found
        frame = frame.f_back
    return {}


def starting_in_langgraph(frames: StartFrames) -> tuple[object | None, bool]:
    """Return the object of LangGraph's whose run is being announced, None if another starts; whether it is a graph."""
    frame = frames.starter
    module = frame.f_globals.get("__name__")
    if not isinstance(module, str) or not module.startswith("langgraph."):
        return None, False
    return frame.f_locals.get("self"), module == GRAPH_MODULE


def starting_object(frames: StartFrames) -> object | None:
    """Return the object whose method starts the run being announced, None if that is no method."""
    return frames.starter.f_locals.get("self")
