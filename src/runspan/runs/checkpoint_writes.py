"""Whether LangGraph is saving here what a graph did.

It hands checkpointers and caches their work in threads and tasks of its own, in a copy of the consumer's context, where
nothing says which graph is saved: only the checkpointer's or cache's method on the stack does.
"""

import sys
from types import FrameType
from typing import Any, Final

from runspan.runs.execution import present_stack
from runspan.runs.starting_frame import GRAPH_MODULE

_CHECKPOINTER: Final = ("langgraph.checkpoint.base", "BaseCheckpointSaver")
_CACHE: Final = ("langgraph.cache.base", "BaseCache")
_SAVING_METHODS: Final = {
    "put": _CHECKPOINTER,
    "aput": _CHECKPOINTER,
    "put_writes": _CHECKPOINTER,
    "aput_writes": _CHECKPOINTER,
    "set": _CACHE,
    "aset": _CACHE,
}


def is_checkpoint_write_on_stack() -> bool:
    """Return whether LangGraph called the checkpointer or cache that is on the present stack, to save a graph."""
    is_saving = False
    for frame in present_stack():
        if frame.f_globals.get("__name__") == GRAPH_MODULE:
            return False  # such as ``update_state``, which the user called
        is_saving = is_saving or _is_saving(frame)
    return is_saving


def _is_saving(frame: FrameType) -> bool:
    code = frame.f_code
    base = _SAVING_METHODS.get(code.co_name)
    if base is None or not code.co_argcount:
        return False
    kind = _find_class(*base)
    return kind is not None and isinstance(frame.f_locals.get(code.co_varnames[0]), kind)


def _find_class(module: str, name: str) -> "type[Any] | None":
    # A graph that saves anything has imported it.
    kind = getattr(sys.modules.get(module), name, None)
    return kind if isinstance(kind, type) else None
