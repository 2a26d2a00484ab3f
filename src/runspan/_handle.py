"""What ``configure`` returns."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Self

from opentelemetry.trace import TracerProvider

from runspan._process_exit import at_exit, not_at_exit
from runspan._sigterm import SigtermWatch
from runspan.arguments import checked_seconds
from runspan.export.processor import DeliveringSpanProcessor
from runspan.export.shutdown import begin_ending, close_all, live_on
from runspan.export.stats import Stats
from runspan.processors.console import DirectSpanProcessor
from runspan.runs.tracing import end_open_runs

# How long tasks may take to end that a server has cancelled.
_CANCELLED_SECONDS: Final = 1.0

ConfiguredProcessor = DeliveringSpanProcessor | DirectSpanProcessor


class Handle:
    """What ``configure`` has set up, to flush, to shut down and to count spans; never made by hand.

    As a context manager it shuts down at the end of the block; when the process ends it does so by itself. With
    ``async with``, for the lifespan of a server, it first lets tasks end that the server has cancelled, for a second.

    Attributes:
        tracer_provider: the provider whose spans are delivered: the application's if it had set one, else a new one.
        is_open: whether it delivers: False once ``shutdown`` was called; then ``configure`` may be called again.

    Example:
        >>> handle = configure(service_name="shop")
        >>> chain.invoke({"number": "2"}, config={"callbacks": [OpenTelemetryCallbackHandler()]})
        >>> assert handle.force_flush(timeout=5), handle.stats().dropped
    """

    def __init__(
        self, tracer_provider: TracerProvider, processors: Sequence[ConfiguredProcessor], exit_timeout: float
    ) -> None:
        self.tracer_provider = tracer_provider
        self.is_open = True
        self._processors = processors
        self._exit_timeout = exit_timeout
        self._sigterm_watch: SigtermWatch | None = None
        at_exit(self._close_everything)

    def force_flush(self, timeout: float = 10) -> bool:
        """Send the spans that have ended so far.

        Args:
            timeout: seconds in total.

        Returns:
            Whether all of them were delivered in time.
        """
        deadline = time.monotonic() + checked_seconds("timeout", timeout)
        flushed = [each.force_flush(_milliseconds_until(deadline)) for each in self._processors]
        return all(flushed)

    def stats(self) -> Stats:
        """Return how many spans were taken, sent, retried, shortened, spooled and dropped, by reason."""
        delivering = [each for each in self._processors if isinstance(each, DeliveringSpanProcessor)]
        return sum((each.stats() for each in delivering), Stats())

    def shutdown(self, timeout: float = 4) -> bool:
        """End what is open on the tracer provider, as abandoned, deliver what can be delivered in time, and stop.

        The tracer provider and the handlers stay: after another ``configure`` their spans are delivered again.

        Args:
            timeout: seconds, for all of it.

        Returns:
            Whether all was delivered, as ``force_flush`` has it.
        """
        deadline = time.monotonic() + checked_seconds("timeout", timeout)
        if self.is_open:
            end_open_runs(self.tracer_provider)
        self.is_open = False
        delivered = [processor.close(max(deadline - time.monotonic(), 0)) for processor in self._processors]
        not_at_exit(self._close_everything)
        if self._sigterm_watch is not None:
            self._sigterm_watch.stop()
        return all(delivered)

    def watch_sigterm(self) -> SigtermWatch:
        """Deliver before SIGTERM ends the process, until ``shutdown``; ``configure`` calls it.

        Returns:
            What watches: a span processor that belongs on the tracer provider.
        """
        self._sigterm_watch = SigtermWatch(
            begin_ending=begin_ending,
            live_on=live_on,
            deliver=self._close_everything,
            timeout_seconds=self._exit_timeout,
        )
        self._sigterm_watch.start()
        return self._sigterm_watch

    def _close_everything(self) -> None:
        end_open_runs(self.tracer_provider)
        close_all(self._exit_timeout)
        self.shutdown(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await _cancelled_tasks_end()
        finally:  # also where this task is cancelled
            self.shutdown()


async def _cancelled_tasks_end() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if cancelled := [task for task in others if task.cancelling()]:
        await asyncio.wait(cancelled, timeout=_CANCELLED_SECONDS)


def _milliseconds_until(deadline: float) -> int:
    return max(int((deadline - time.monotonic()) * 1000), 0)
