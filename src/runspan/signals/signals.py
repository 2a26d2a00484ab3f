"""Metrics and events of a handler's runs, where a provider takes them."""

from collections.abc import Callable
from typing import Any, Final

import orjson
from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import Attributes, without_content
from runspan.payload.writer import Writer
from runspan.runs.run import Run
from runspan.signals.events import RunEvents
from runspan.signals.metrics import RunMetrics, run_metrics

_STRUCTURED: Final = (
    semconv.INPUT_MESSAGES,
    semconv.OUTPUT_MESSAGES,
    semconv.SYSTEM_INSTRUCTIONS,
    semconv.OUTPUT_SCHEMA,
    semconv.TOOL_DEFINITIONS,
)
# Providers of the API alone record nothing, and calling them costs as much as a span.
_API: Final = "opentelemetry.metrics"


class Signals:
    """Metrics and events of runs. No exception leaves it.

    Args:
        meter_provider: where metrics go; the global provider, whichever it is by then, if None.
        logger_provider: where events go; the global provider if None.
        legacy_names: whether metrics are recorded by their old names, too.

    Raises:
        TypeError: if the logger provider is none.
    """

    def __init__(
        self, meter_provider: MeterProvider | None, logger_provider: object | None, *, legacy_names: bool
    ) -> None:
        self.events = RunEvents(logger_provider)
        self._meter_provider = meter_provider
        self._legacy_names = legacy_names

    @property
    def metrics(self) -> RunMetrics | None:
        """Where the run's metrics are recorded, None if nobody takes them."""
        provider = self._meter_provider or metrics.get_meter_provider()
        if type(provider).__module__.startswith(_API):
            return None
        return run_metrics(provider, legacy_names=self._legacy_names)

    @property
    def are_taken(self) -> bool:
        """Whether anybody takes metrics or events."""
        return self.metrics is not None or self.events.are_taken

    def record_end(
        self, run: Run, attributes: Attributes, at_ns: int, error: BaseException | None, write: Writer | None
    ) -> None:
        """Record the end of a run that has an operation; chains have none.

        Args:
            run: the run.
            attributes: those that its span gets at the end.
            at_ns: when it ended.
            error: what it raised.
            write: writes the content of its events; None if they may have none.
        """
        attempt(self._record_end, run, attributes, at_ns, error, write, default=None)

    def emit_event(self, run: Run, callback: str, args: tuple[Any, ...], write: Writer | None) -> None:
        """Emit the event of a callback between start and end of a run, if it has one; ``args`` are the callback's."""
        if (emit := _EMITTERS.get(callback)) is not None:
            attempt(emit, self.events, run, write, *args, default=None)

    def _record_end(
        self, run: Run, attributes: Attributes, at_ns: int, error: BaseException | None, write: Writer | None
    ) -> None:
        # A function, since often nobody takes metrics or events.
        def span_attributes() -> Attributes:
            return {**run.start_attributes, **run.record.attributes, **attributes}

        if run.is_model and self.events.are_taken:
            self.events.details(run.span, lambda: _details(run.record.allowed(span_attributes(), "event")))
        if error is not None:
            self.events.exception(run.span, error, without_content(span_attributes()), write)
        recorder = self.metrics
        if recorder is not None:
            chunks = run.stream.seconds_since(run.started_ns) if run.stream is not None else []
            usage = run.relations.agent_usage
            calls = usage.calls if usage is not None else None
            seconds = (at_ns - run.started_ns) / 1e9
            recorder.record(span_attributes(), seconds, chunk_seconds=chunks, calls=calls, span=run.span)


def _structured(attributes: Attributes) -> dict[str, Any]:
    """Return what the span has as JSON as lists and objects, which the conventions want in events."""
    found = {name: value for name in _STRUCTURED if isinstance(value := attributes.get(name), str)}
    return {name: attempt(orjson.loads, value, default=value) for name, value in found.items()}


def _details(attributes: Attributes) -> tuple[Attributes, Attributes]:
    return attributes, _structured(attributes)


def _custom(events: RunEvents, run: Run, write: Writer | None, name: str, data: object) -> None:
    events.custom(run.span, name, data, write)


def _text(events: RunEvents, run: Run, write: Writer | None, text: str) -> None:
    events.text(run.span, text, write)


def _retry(events: RunEvents, run: Run, _: Writer | None, state: object) -> None:
    events.retry(run.span, state)


def _interrupt(events: RunEvents, run: Run, write: Writer | None, event: Any) -> None:
    events.interrupt(run.span, event.checkpoint_id, event.checkpoint_ns, event.interrupts, write)


def _resume(events: RunEvents, run: Run, write: Writer | None, event: Any) -> None:
    events.resume(run.span, event.checkpoint_id, event.checkpoint_ns, None, write)


_EMITTERS: Final[dict[str, Callable[..., None]]] = {
    "on_custom_event": _custom,
    "on_text": _text,
    "on_retry": _retry,
    "on_interrupt": _interrupt,
    "on_resume": _resume,
}
