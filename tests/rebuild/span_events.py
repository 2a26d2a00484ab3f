"""Spans as the rebuilding functions take them, and a handler that keeps what it hears."""

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from runspan.callback_event import Event
from runspan.rebuild import SpanData, end_event, kind_of, start_event
from tests.recorders import Recorder


def span_data(name: str = "span", error: str | None = None, events=(), **attributes: Any) -> SpanData:
    """Return the data of a span; of the names of attributes, double underscores stand for dots."""
    return SpanData(name, {key.replace("__", "."): value for key, value in attributes.items()}, events, error)


def span_data_of(span: ReadableSpan) -> SpanData:
    """Return the data of a finished span."""
    error = (span.status.description or "") if span.status.status_code is StatusCode.ERROR else None
    return SpanData(span.name, span.attributes, [(event.name, event.attributes) for event in span.events], error)


def rebuilt(span: SpanData) -> tuple[Event, Event]:
    """Return the events of a span that has ended."""
    kind = kind_of(span)
    assert kind is not None
    return start_event(kind, span), end_event(kind, span)


class Notes(Recorder):
    """Keeps every event as LangChain calls it, ``serialized`` too."""

    raise_error = True

    def keep(self, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.heard.append(Event(event, args, kwargs))
