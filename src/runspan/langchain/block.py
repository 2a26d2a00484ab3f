"""A block of code as an invocation: what starts in it is in the scope of a handler."""

from types import FrameType
from typing import TYPE_CHECKING

from opentelemetry import context as otel

from runspan.langchain.handler import OpenTelemetryCallbackHandler

if TYPE_CHECKING:
    from runspan.runs.run import Run


class Block:
    """One time that a block is entered: a run without a span and without events, to carry the scope."""

    def __init__(self) -> None:
        self._before = otel.get_current()
        self._within = self._before
        self._run: Run | None = None

    def open(self, handler: OpenTelemetryCallbackHandler, caller: FrameType) -> None:
        """Start the block; ``caller`` is the frame that it is in."""
        self._run = handler.open_block(caller)
        self._within = otel.get_current()

    def is_current(self) -> bool:
        """Return whether it is what was begun last here."""
        return otel.get_current() is self._within

    def close(self) -> None:
        """End the block."""
        if self._run is not None:
            self._run.table.close(self._run)
        # Not a detach: the block may end in another context than it began in, and there the closed run does no harm.
        if self.is_current():
            otel.attach(self._before)
