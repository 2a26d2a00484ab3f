"""The trace of a test."""

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Self

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook
from opentelemetry.trace import TracerProvider

from runspan._environment import is_sdk_disabled
from runspan.langchain.block import Block
from runspan.langchain.zero_code import AddedHandler
from runspan.runs.tracing import end_finished_runs
from runspan.settings import Settings
from runspan.testing.recorded_span import RecordedSpan, trees_of
from runspan.testing.recorded_trace import RecordedTrace
from runspan.testing.recorder import Recorder

if TYPE_CHECKING:
    from types import FrameType

    from runspan.langchain.handler import OpenTelemetryCallbackHandler

_SETTLING_SECONDS: Final = 10.0

# LangChain adds the handler that it holds to each run that starts in the context.
_handler_here: ContextVar[BaseCallbackHandler | None] = ContextVar("runspan_testing", default=None)
register_configure_hook(_handler_here, inheritable=True)

_frame_at = sys._getframe  # noqa: SLF001  a documented function of CPython


class Trace(RecordedTrace):
    """Record what starts within a block, and nothing else: other tests may run at the same time in other threads.

    LangChain and LangGraph are traced there without a handler being passed. Of other libraries, and of your own code,
    the spans of the global tracer provider are recorded; where none is set they make none, and handlers of the
    application that have no provider count for nothing. Threads that don't copy the context are outside: pass
    ``trace.config`` there. What was recorded is asked as of any ``RecordedTrace``.

    Args:
        tracer_provider: where spans start; the global provider, or one of runspan's own if there is none.
        settings: what to record; by default content is.

    Attributes:
        handler: what records: for code that wants a handler.

    Raises:
        RuntimeError: if ``OTEL_SDK_DISABLED`` is true, as then no span is made.

    Example:
        >>> with Trace() as trace:
        ...     agent.invoke({"messages": ["Weather in Oslo?"]})
        >>> assert trace.tools() == [("weather", {"city": "Oslo"})]
    """

    def __init__(self, *, tracer_provider: TracerProvider | None = None, settings: Settings | None = None) -> None:
        if is_sdk_disabled():
            raise RuntimeError(
                "OTEL_SDK_DISABLED is true, so no span is made and nothing can be recorded. Unset it for tests that"
                " look at their trace; without an exporter nothing is sent."
            )
        self._recorder = Recorder()
        self.handler: OpenTelemetryCallbackHandler = AddedHandler(
            span_processors=[self._recorder],
            tracer_provider=tracer_provider,
            settings=settings or Settings(capture_content="span"),
        )
        self._blocks: list[tuple[Block, BaseCallbackHandler | None, FrameType]] = []

    def __enter__(self) -> Self:
        # A frame that does not yield, and is kept: so the block is everywhere until its end, whoever calls.
        block, frame = Block(), _frame_at(0)
        self._blocks.append((block, _handler_here.get(), frame))
        block.open(self.handler, frame)
        _handler_here.set(self.handler)
        return self

    def __exit__(self, *_: object) -> None:
        block, before, _frame = self._blocks.pop()
        _handler_here.set(before)
        block.close()

    @property
    def config(self) -> dict[str, list[BaseCallbackHandler]]:
        """A config with the handler, for what is called in a thread that does not copy the context."""
        return {"callbacks": [self.handler]}

    @property
    def roots(self) -> list[RecordedSpan]:
        """The spans at the top, those below them as their ``children``; spans may be open yet."""
        end_finished_runs(_SETTLING_SECONDS)
        return trees_of(self._recorder.spans())
