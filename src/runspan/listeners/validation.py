"""Checks listeners when they are given, so that a mistake is an error there and not a span that is lost."""

from collections.abc import Iterable

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

from runspan.arguments import shown


def checked_callbacks(callbacks: object) -> tuple[BaseCallbackHandler, ...]:
    """Return the handlers.

    Raises:
        TypeError: names the value that is none.
    """
    handlers = _listed("callbacks", callbacks, "LangChain callback handlers")
    for position, value in enumerate(handlers):
        if not isinstance(value, BaseCallbackHandler):
            raise TypeError(
                f"callbacks[{position}] is {shown(value)}; it must be an instance of BaseCallbackHandler.{_hint(value)}"
            )
    return tuple(each for each in handlers if isinstance(each, BaseCallbackHandler))


def checked_processors(processors: object) -> tuple[SpanProcessor, ...]:
    """Return the span processors.

    Raises:
        TypeError: names the value that is none.
    """
    listed = _listed("span_processors", processors, "OpenTelemetry span processors")
    for position, value in enumerate(listed):
        if not isinstance(value, SpanProcessor):
            raise TypeError(
                f"span_processors[{position}] is {shown(value)}; it must be an instance of"
                f" OpenTelemetry's SpanProcessor.{_hint(value)}"
            )
    return tuple(each for each in listed if isinstance(each, SpanProcessor))


def _listed(option: str, values: object, kind: str) -> list[object]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{option} is {shown(values)}; it must be a list of {kind}.")
    return list(values)


def _hint(value: object) -> str:
    if isinstance(value, type):
        return f" That is a class: make an instance, {value.__name__}(...)."
    if isinstance(value, SpanExporter):
        return " An exporter needs a processor around it, such as OpenTelemetry's BatchSpanProcessor(exporter)."
    if isinstance(value, SpanProcessor):
        return " A span processor goes into span_processors=[...]."
    if isinstance(value, BaseCallbackHandler):
        return " A callback handler goes into callbacks=[...]."
    return ""
