"""Spans as the rebuilding functions take them, and handlers that note what they hear."""

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from runspan.callback_event import IGNORED_BY, Event
from runspan.rebuild import SpanData, end_event, kind_of, start_event


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


class Notes(BaseCallbackHandler):
    """Notes the events that LangChain calls."""

    raise_error = True
    run_inline = True

    def __init__(self) -> None:
        self.events: list[Event] = []


def _note(name: str):
    def note(self: Notes, *args: Any, **kwargs: Any) -> None:
        self.events.append(Event(name, args, kwargs))

    return note


for _name in IGNORED_BY:
    setattr(Notes, _name, _note(_name))
