"""Whether the garbage collector is at work in this thread.

It closes generators that nothing but a cycle refers to, in any order. Where it closes an inner one first, the outer one
can't be distinguished from one that was read to its end.
"""

import gc
from collections.abc import Mapping

from runspan._threads import get_ident

_collecting: int | None = None


def watch() -> None:
    """Have the collector report its beginnings and ends from now on; done once for a process."""
    if _on_collection not in gc.callbacks:
        gc.callbacks.append(_on_collection)


def is_collecting_here() -> bool:
    """Return whether the caller is called by the collector, as by a generator that it closes."""
    return _collecting == get_ident()


def _on_collection(phase: str, _: Mapping[str, int]) -> None:
    global _collecting  # noqa: PLW0603  there is one collector in a process, and one collection at a time
    _collecting = get_ident() if phase == "start" else None
