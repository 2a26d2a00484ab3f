"""Events of runs as OpenTelemetry has them: log records with a name, in the trace context of the run's span."""

import time
import traceback
from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

import orjson
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from runspan import semconv
from runspan._guard import attempt, frames_of
from runspan._version import __version__
from runspan.arguments import shown
from runspan.attributes import Attributes, is_int64
from runspan.payload import clean, error_message, failure, to_json
from runspan.payload.structure import MAX_STRUCTURE_DEPTH
from runspan.payload.text import describe, is_text, name_in
from runspan.payload.writer import Writer
from runspan.semconv import event_names
from runspan.semconv.operations import MODEL_OPERATIONS
from runspan.signals import private_names

_API: Final = "opentelemetry._logs"
# The operations for which the conventions have an event of a failure.
_CLIENT_OPERATIONS: Final = frozenset((*MODEL_OPERATIONS, "embeddings", "retrieval"))
_LONGEST_STACKTRACE: Final = 20_000  # characters, the last ones


class _Logger(Protocol):
    """What is used of OpenTelemetry's loggers."""

    def emit(
        self,
        *,
        timestamp: int,
        context: Context,
        severity_number: Any,
        attributes: Attributes,
        event_name: str,
    ) -> None: ...


@runtime_checkable
class _LoggerProvider(Protocol):
    """What is used of OpenTelemetry's logger providers."""

    def get_logger(self, name: str, version: str | None = None, schema_url: str | None = None) -> _Logger: ...


class RunEvents:
    """Emits events of runs; without a logger provider nothing happens. No exception leaves it.

    ``write`` writes the content of an event; it is None if that may have none.

    Args:
        logger_provider: where the events go; the global provider, whichever it is by then, if None.

    Raises:
        TypeError: if it is no logger provider.
    """

    def __init__(self, logger_provider: object | None) -> None:
        self._get_global = private_names.find(private_names.LOGGER_PROVIDER) if logger_provider is None else None
        self._logger = _logger(logger_provider if self._get_global is None else self._get_global())

    @property
    def are_taken(self) -> bool:
        """Whether there is a logger provider, and not just the API's own, which records nothing."""
        if self._logger is None:
            return False
        # A logger of the API's hands on to the global provider, once there is one.
        source = self._logger if self._get_global is None else self._get_global()
        return not type(source).__module__.startswith(_API)

    def details(self, span: Span, describe: Callable[[], tuple[Attributes, Attributes]]) -> None:
        """Emit the details of a model's call, when it has ended.

        Args:
            span: the span of the call.
            describe: called if the event is recorded; returns all attributes of the span, and those of them that are
                content (messages, tool definitions) as lists and dictionaries, where the span may have JSON.
        """

        def with_content() -> Attributes:
            attributes, content = describe()
            return {**attributes, **_structured(content)}

        self._emit(span, event_names.DETAILS_EVENT, "DEBUG", with_content)

    def exception(self, span: Span, error: BaseException, attributes: Attributes, write: Writer | None) -> None:
        """Emit an error that ended a call of a model, an embeddings model or a retriever.

        There is no event of other operations, of cancellations, and of LangGraph's control flow.

        Args:
            span: the span of the call.
            error: what it raised.
            attributes: those of the span, without content; the operation decides whether there is an event.
            write: writes the message and the stack trace; None if the event may have no content.
        """
        if attributes.get(semconv.OPERATION) in _CLIENT_OPERATIONS:
            ended_by = attempt(failure, error, default=None)
            if ended_by is not None and ended_by.outcome == "error":
                self._emit(
                    span,
                    event_names.EXCEPTION_EVENT,
                    "WARN",
                    lambda: {**attributes, **_exception(error, write)},
                )

    def custom(self, span: Span, name: str, data: object, write: Writer | None) -> None:
        """Emit a custom event that the application dispatched."""
        named = {event_names.EVENT_NAME: name_in(name) or ""}
        self._emit(span, event_names.CUSTOM_EVENT, "INFO", lambda: {**named, **_data(data, write)})

    def retry(self, span: Span, state: object) -> None:
        """Emit that another attempt follows; ``state`` is tenacity's ``RetryCallState``."""
        self._emit(span, event_names.RETRY_EVENT, "WARN", lambda: _retry(state))

    def text(self, span: Span, text: str, write: Writer | None) -> None:
        """Emit the text of a run; all of it is content."""
        if write is not None:
            self._emit(span, event_names.TEXT_EVENT, "INFO", lambda: _data(text, write))

    def interrupt(
        self, span: Span, checkpoint_id: str, namespace: tuple[str, ...] | str, payload: object, write: Writer | None
    ) -> None:
        """Emit that a graph waits; ``payload`` is LangGraph's ``interrupts``."""
        self._emit(
            span, event_names.INTERRUPT_EVENT, "INFO", lambda: _checkpoint(checkpoint_id, namespace, payload, write)
        )

    def resume(
        self, span: Span, checkpoint_id: str, namespace: tuple[str, ...] | str, payload: object, write: Writer | None
    ) -> None:
        """Emit that a graph goes on; ``payload`` is the value that it was resumed with, None if that is not known."""
        self._emit(
            span, event_names.RESUME_EVENT, "INFO", lambda: _checkpoint(checkpoint_id, namespace, payload, write)
        )

    def evaluation(self, span: Span, attributes: Attributes) -> None:
        """Emit how somebody judged what a span did."""
        self._emit(span, event_names.EVALUATION_EVENT, "INFO", lambda: attributes)

    def _emit(self, span: Span, name: str, severity: str, describe: Callable[[], Attributes]) -> None:
        if self._logger is not None:
            attempt(_emit_to, self._logger, span, name, severity, describe, default=None)


def _logger(provider: object | None) -> _Logger | None:
    if provider is None:
        return None
    if not isinstance(provider, _LoggerProvider):
        raise TypeError(f"logger_provider is {shown(provider)}, not an OpenTelemetry LoggerProvider; pass one, or None")
    return provider.get_logger("runspan", __version__, semconv.SCHEMA_URL)


def _emit_to(logger: _Logger, span: Span, name: str, severity: str, describe: Callable[[], Attributes]) -> None:
    severities = private_names.find(private_names.SEVERITY_NUMBER)
    number = severities[severity] if severities is not None else None
    context = trace.set_span_in_context(span)
    is_enabled = getattr(logger, "enabled", None)  # OpenTelemetry's loggers have it from 1.45 on
    if is_enabled is None or is_enabled(context=context, severity_number=number, event_name=name):
        logger.emit(
            timestamp=time.time_ns(),
            context=context,
            severity_number=number,
            attributes=describe(),
            event_name=name,
        )


def _exception(error: BaseException, write: Writer | None) -> Attributes:
    description = failure(error)
    attributes = {semconv.EXCEPTION_TYPE: description.error_type}
    if write is None:
        # Without messages: they stand in the last line of a trace, and in those of the causes.
        stacktrace = _last_of(f"{frames_of(error)}{description.error_type}")
        return attributes | {semconv.EXCEPTION_STACKTRACE: stacktrace}
    stacktrace = "".join(traceback.format_exception(error))
    message = write.message(error_message(error))
    return attributes | message | write.end_of_text(semconv.EXCEPTION_STACKTRACE, stacktrace, _LONGEST_STACKTRACE)


def _last_of(stacktrace: str) -> str:
    return clean(stacktrace[-_LONGEST_STACKTRACE:])


def _retry(state: Any) -> Attributes:
    error = state.outcome.exception() if state.outcome is not None else None
    error_type = {semconv.ERROR_TYPE: failure(error).error_type} if error is not None else {}
    return {semconv.ATTEMPT: state.attempt_number, event_names.RETRY_WAIT: float(state.upcoming_sleep), **error_type}


def _checkpoint(
    checkpoint_id: str, namespace: tuple[str, ...] | str, payload: object, write: Writer | None
) -> Attributes:
    path = namespace if isinstance(namespace, str) else "|".join(namespace)
    data = _data(payload, write) if payload is not None else {}
    return {semconv.CHECKPOINT_ID: checkpoint_id, semconv.CHECKPOINT_NAMESPACE: describe(path), **data}


def _data(data: object, write: Writer | None) -> Attributes:
    """Return data as an attribute: as it is if OpenTelemetry has such values, else as JSON."""
    if write is None:
        return {}
    # A copy: what is emitted is encoded later, when the application may have changed it.
    written = write.text(semconv.EVENT_DATA, data)
    if is_text(data) or not (text := written.get(semconv.EVENT_DATA)):
        return written
    value = orjson.loads(str(text))
    return {semconv.EVENT_DATA: value} if _is_value(value) else written


def _structured(content: Attributes) -> Attributes:
    """Return content as lists and dictionaries of what OpenTelemetry has; as JSON if it nests too deeply."""
    copies = {name: orjson.loads(to_json(value)) for name, value in content.items()}
    return {name: copy if _is_value(copy) else to_json(copy) for name, copy in copies.items()}


def _is_value(value: object, depth: int = 0) -> bool:
    """Return whether OTLP can hold a value; one that it can't makes an exporter lose its whole batch."""
    if type(value) is str:
        return clean(value) == value
    if value is None or type(value) is bool or type(value) is float or is_int64(value):
        return True
    if depth >= MAX_STRUCTURE_DEPTH:
        return False
    if type(value) is dict:
        return all(_is_key(key) and _is_value(each, depth + 1) for key, each in value.items())
    return (type(value) is list or type(value) is tuple) and all(_is_value(each, depth + 1) for each in value)


def _is_key(value: object) -> bool:
    return type(value) is str and value != "" and clean(value) == value
