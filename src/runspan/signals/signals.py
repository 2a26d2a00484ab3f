"""Metrics and events of a handler's runs, where a provider takes them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import Attributes
from runspan.runs.run import Run
from runspan.signals.events import RunEvents
from runspan.signals.metrics import RunMetrics, run_metrics

_STRUCTURED: Final = (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.TOOL_DEFINITIONS)
# Providers of the API alone count nothing; asking them costs as much as a span.
_API: Final = "opentelemetry.metrics"


class Signals:
    """What is told of a run beside its span. No exception leaves it.

    Args:
        meter_provider: where metrics go; the global provider, whichever it is by then, if None.
        logger_provider: where events go; the global provider if None.
        legacy_names: whether the metrics of before are recorded, too.

    Raises:
        TypeError: if the logger provider is none.
    """

    def __init__(
        self, meter_provider: MeterProvider | None, logger_provider: object | None, *, legacy_names: bool
    ) -> None:
        self.events = RunEvents(logger_provider)
        self._meter_provider = meter_provider
        self._legacy_names = legacy_names
        self._tellers: dict[str, Callable[..., None]] = {
            "on_custom_event": self._custom,
            "on_text": self._text,
            "on_retry": self._retry,
            "on_interrupt": self._interrupt,
            "on_resume": self._resume,
        }

    @property
    def metrics(self) -> RunMetrics | None:
        """Where the run's metrics are recorded, None if nobody takes them."""
        provider = self._meter_provider or metrics.get_meter_provider()
        if type(provider).__module__.startswith(_API):
            return None
        return run_metrics(provider, legacy_names=self._legacy_names)

    def ended(self, run: Run, attributes: Attributes, at_ns: int, error: BaseException | None = None) -> None:
        """Tell of a run that ends; ``attributes`` are what its end says. There is nothing to tell of chains."""
        if semconv.OPERATION in run.start_attributes:
            attempt(self._ended, run, attributes, at_ns, error, default=None)

    def happened(self, run: Run, callback: str, args: tuple[Any, ...]) -> None:
        """Tell of what LangChain or LangGraph says in the midst of a run; ``args`` are those of the callback."""
        if (tell := self._tellers.get(callback)) is not None:
            attempt(tell, run, *args, default=None)

    def _custom(self, run: Run, name: str, data: object) -> None:
        self.events.custom(run.span, name, data, captures=run.captures)

    def _text(self, run: Run, text: str) -> None:
        self.events.text(run.span, text, captures=run.captures)

    def _retry(self, run: Run, state: object) -> None:
        self.events.retry(run.span, state)

    def _interrupt(self, run: Run, event: Any) -> None:
        self.events.interrupt(
            run.span, event.checkpoint_id, event.checkpoint_ns, event.interrupts, captures=run.captures
        )

    def _resume(self, run: Run, event: Any) -> None:
        self.events.resume(run.span, event.checkpoint_id, event.checkpoint_ns, None, captures=run.captures)

    def _ended(self, run: Run, attributes: Attributes, at_ns: int, error: BaseException | None) -> None:
        def told() -> Attributes:
            return {**run.start_attributes, **run.attributes, **attributes}

        if run.is_model:
            self.events.details(run.span, lambda: (told(), _structured(told())))
        if error is not None:
            self.events.exception(run.span, error, _without_content(told()), captures=run.captures)
        recorder = self.metrics
        if recorder is not None:
            chunks = [(each - run.started_ns) / 1e9 for each in run.chunk_ns]
            calls = run.agent_usage.calls if run.agent_usage is not None else None
            seconds = (at_ns - run.started_ns) / 1e9
            recorder.record(told(), seconds, chunk_seconds=chunks, calls=calls, span=run.span)


def _structured(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the span has as JSON: the conventions want lists and objects of an event."""
    found = {name: told[name] for name in _STRUCTURED if isinstance(told.get(name), str)}
    return {name: attempt(orjson.loads, value, default=value) for name, value in found.items()}


def _without_content(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in _STRUCTURED}
