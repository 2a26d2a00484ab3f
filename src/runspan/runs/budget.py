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

    __slots__ = ("_for_root", "for_some", "left")

    def __init__(self, size: int) -> None:
        self.left = size
        """What may be written, at the top; whoever writes takes it away."""
        self._for_root = size // _FOR_ROOT
        self.for_some = self._for_root + size // _FOR_MODELS
        """What is kept back of it for the run at the top, for models and errors."""

    def share(self) -> int:
        """Return how many bytes a model or an error may write when no more than what is kept back is left."""
        return (self.left - self._for_root) // _SHARE


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

    def room(self, most: int) -> int:
        """Return how many bytes one attribute may take now: half of what is left, and no more than ``most``."""
        trace = self._trace
        left = trace.left
        if not self._is_root:
            left -= trace.for_some
            if self.is_reserved and left < 2 * most:
                left = max(left, trace.share())
        left = min(left, self._left)
        return most if left >= 2 * most else max(left // 2, 0)

    def take(self, size: int) -> None:
        """Note that so many bytes were written."""
        self._left -= size
        self._trace.left -= size
