"""How many bytes the content of all spans of an invocation may take."""

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
