"""Runtime handlers for code that is not LangChain's."""

import contextlib
import functools
import logging
import sys
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Final

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry import trace
from opentelemetry.trace import TracerProvider
from opentelemetry.util.types import AttributeValue

from runspan.langchain.block import Block
from runspan.langchain.handler import OpenTelemetryCallbackHandler
from runspan.listeners.router import TakesProcessors
from runspan.runs.execution import GENERATOR_FLAGS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

_frame_at = sys._getframe  # noqa: SLF001  a documented function of CPython
_CONTEXTLIB: Final = vars(contextlib)


class invocation:  # noqa: N801  read as the statement that it is used in
    """Listen to the spans of a block of code, as a handler listens to those of an invocation.

    Works with ``with`` and ``async with``; the latter waits for async handlers at its end. No span is made for the
    block. Spans of other libraries are heard if a tracer provider that takes span processors is set.

    Args:
        callbacks: ordinary callback handlers; they hear the spans that mean a call of a model, of a tool and so on.
        span_processors: OpenTelemetry span processors; they hear every span.
        attributes: what every span gets, overriding what it starts with.
        propagate: the names of those attributes that go into the baggage, to every service that is called within,
            model providers among them.
        tracer_provider: whose spans are meant; those of the global provider are heard in any case.

    Attributes:
        handler: what ``with`` returns: a handler with the same listeners, to flush them or to pass to LangChain.

    Raises:
        TypeError: if a listener is no callback handler or no span processor; it names the value.
        ValueError: if what is to be propagated can't be.

    Example:
        >>> with runspan.invocation(callbacks=[LoggingHandler()]):
        ...     anthropic.Anthropic().messages.create(...)
    """

    def __init__(
        self,
        *,
        callbacks: Iterable[BaseCallbackHandler] = (),
        span_processors: "Iterable[SpanProcessor]" = (),
        attributes: Mapping[str, AttributeValue] | None = None,
        propagate: Iterable[str] = (),
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self.handler = OpenTelemetryCallbackHandler(
            callbacks=callbacks,
            span_processors=span_processors,
            attributes=attributes,
            propagate=propagate,
            tracer_provider=tracer_provider,
        )
        self._blocks: list[Block] = []
        if tracer_provider is None and not isinstance(trace.get_tracer_provider(), TakesProcessors):
            _log_no_provider()

    def __enter__(self) -> OpenTelemetryCallbackHandler:
        """Return a handler with the same listeners: to flush them, or to pass to LangChain."""
        return self._open(_frame_at(1))

    def __exit__(self, *_: object) -> None:
        """End the block."""
        self._close()

    async def __aenter__(self) -> OpenTelemetryCallbackHandler:
        """Return a handler with the same listeners."""
        return self._open(_frame_at(1))

    async def __aexit__(self, *_: object) -> None:
        """End the block when async handlers have been called."""
        self._close()
        await self.handler.aflush()

    def _open(self, caller: FrameType) -> OpenTelemetryCallbackHandler:
        block = Block()
        try:
            block.open(self.handler, _entering(caller))
            self._blocks.append(block)
            return self.handler  # noqa: TRY300  an interrupt may come here, too
        except BaseException:
            block.close()  # interrupted, so nobody else will
            raise

    def _close(self) -> None:
        # Tasks may share one object: the block to end is the one that is current, if there is one.
        block = next((each for each in reversed(self._blocks) if each.is_current()), self._blocks[-1])
        block.close()
        self._blocks.remove(block)


def _entering(frame: FrameType) -> FrameType:
    """Return the frame that enters a block: not one of ``ExitStack``, nor the generator of a ``@contextmanager``."""
    above = frame.f_back
    is_manager = frame.f_code.co_flags & GENERATOR_FLAGS and above is not None and _is_contextlibs(above)
    if above is not None and (is_manager or _is_contextlibs(frame)):
        return _entering(above)
    return frame


def _is_contextlibs(frame: FrameType) -> bool:
    return frame.f_globals is _CONTEXTLIB


@functools.cache
def _log_no_provider() -> None:
    logging.getLogger("runspan").warning(
        "runspan.invocation() hears the spans of other libraries, but they make none: no OpenTelemetry tracer provider"
        " is set. Call runspan.configure(), or set one with opentelemetry.trace.set_tracer_provider()."
    )
