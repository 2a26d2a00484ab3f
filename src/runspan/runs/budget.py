"""How many bytes the content of a span may take, and that of all spans of an invocation."""

from typing import Final

# Parts of what an invocation may take: for the run at its top, and for its models and errors once the rest is used up.
_FOR_ROOT: Final = 8
_FOR_MODELS: Final = 4
# Of that each takes a part of what is left, so that the last of hundreds gets some, too.
_SHARE: Final = 128


class TraceBudget:
    """What the runs of an invocation may write; counted without a lock, so threads may exceed it by a little.

    Args:
        size: in bytes.
    """

    __slots__ = ("_for_models", "_for_root", "left")

    def __init__(self, size: int) -> None:
        self.left = size
        """What may be written, at the top; whoever writes takes it away."""
        self._for_root, self._for_models = size // _FOR_ROOT, size // _FOR_MODELS

    def room(self, *, is_reserved: bool) -> int:
        """Return how many bytes a run below the one at the top may write now."""
        below_root = self.left - self._for_root
        free = below_root - self._for_models
        return max(free, below_root // _SHARE if is_reserved else 0, 0)


class SpanBudget:
    """What one run may write.

    Args:
        size: in bytes.
        trace: that of its invocation.
        is_root: whether it is at the top.
        is_reserved: whether it gets some when its invocation has used up what is for all.
    """

    __slots__ = ("_is_root", "_left", "_trace", "is_reserved")

    def __init__(self, size: int, trace: TraceBudget, *, is_root: bool, is_reserved: bool) -> None:
        self._left = size
        self._trace = trace
        self._is_root = is_root
        self.is_reserved = is_reserved

    def room(self) -> int:
        """Return how many bytes may be written now."""
        trace = self._trace
        return min(self._left, trace.left if self._is_root else trace.room(is_reserved=self.is_reserved))

    def take(self, size: int) -> None:
        """Note that so many bytes were written."""
        self._left -= size
        self._trace.left -= size
