"""Which function of LangChain's starts the run that a handler is notified of, and for which object."""

from collections.abc import Mapping
from types import FrameType
from typing import Final

from langchain_core.callbacks import manager as langchain_manager

GRAPH_MODULE: Final = "langgraph.pregel.main"
"""The module whose functions start the run of a graph."""
_MANAGER_GLOBALS: Final = vars(langchain_manager)
# As instrumentations name them in what they put around a method, and the library that most of them do it with.
_WRAPPER_ARGUMENTS: Final = {"instance", "args", "kwargs"}
_MOST_FRAMES: Final = 5  # from the function that starts a run to the one that was called with its config


def start_frame(caller: FrameType) -> tuple[FrameType, FrameType | None]:
    """Return the frame that starts a run, and that of the callback manager which announces it, given who called us.

    Where somebody drives the handler by hand, the first is the caller, and there is no other.
    """
    manager = caller
    while manager.f_globals is not _MANAGER_GLOBALS:
        if manager.f_back is None:
            return caller, None
        manager = manager.f_back
    frame = manager.f_back
    while frame is not None and frame.f_globals is _MANAGER_GLOBALS:
        manager, frame = frame, frame.f_back
    if frame is not None and "instance" in frame.f_code.co_varnames:
        frame = _around_wrappers(frame)
    return frame or manager, manager


def _around_wrappers(frame: FrameType | None) -> FrameType | None:
    """Return the first frame that is of no function which an instrumentation put around a method."""
    while frame is not None and _WRAPPER_ARGUMENTS.issubset(frame.f_code.co_varnames):
        frame = frame.f_back
    return frame


def is_in_langgraph(starter: FrameType) -> bool:
    """Return whether it is LangGraph that starts a run."""
    module = starter.f_globals.get("__name__")
    return isinstance(module, str) and module.startswith("langgraph.")


def configurable_at(starter: FrameType) -> Mapping[str, object]:
    """Return what the run being announced was called with under ``configurable``, if that is found on the stack."""
    frame: FrameType | None = starter
    for _ in range(_MOST_FRAMES):
        if frame is None or not str(frame.f_globals.get("__name__")).startswith(("langchain", "langgraph")):
            break
        config = frame.f_locals.get("config")
        found = config.get("configurable") if isinstance(config, dict) else None
        if isinstance(found, dict):
            return found
        frame = frame.f_back
    return {}


def starts_graph(starter: FrameType) -> bool:
    """Return whether it is the run of a graph that starts."""
    return starter.f_globals.get("__name__") == GRAPH_MODULE


def starting_object(starter: FrameType) -> object | None:
    """Return the object whose method starts the run being announced, None if that is no method."""
    return starter.f_locals.get("self")
