"""Callback handlers and span processors that keep what they hear."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from opentelemetry.sdk.trace import SpanProcessor

from runspan.callback_event import IGNORED_BY


class Heard(NamedTuple):
    """One event; ``serialized`` is left out, since runspan completes it."""

    event: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Recorder(BaseCallbackHandler):
    """Keeps every event."""

    run_inline = True

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    @property
    def events(self) -> list[str]:
        return [each.event for each in self.heard]

    @property
    def runs(self) -> list[str]:
        """Starts with the names of what starts."""
        return [f"{each.event} {each.kwargs.get('name')}" for each in self.heard if each.event.endswith("start")]

    def by_run(self) -> dict[UUID, list[Heard]]:
        """Group the events by run, for runs that work side by side."""
        runs: dict[UUID, list[Heard]] = {}
        for each in self.heard:
            runs.setdefault(each.kwargs["run_id"], []).append(each)
        return runs

    def one(self, event: str) -> Heard:
        (found,) = [each for each in self.heard if each.event == event]
        return found

    def keep(self, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if event.endswith("_start"):
            assert event == "on_chat_model_start" or not isinstance(self, Driven) or isinstance(args[0], dict)
            args = args[1:]
        self.heard.append(Heard(event, args, kwargs))


class Driven(Recorder):
    """Keeps every event, and checks that ``serialized`` is never None."""


class AsyncDriven(AsyncCallbackHandler, Driven):
    """The same, asynchronously."""

    run_inline = False


def _recording(event: str) -> Any:
    def record(self, *args, **kwargs):
        self.keep(event, args, kwargs)

    return record


def _recording_later(event: str) -> Any:
    async def record(self, *args, **kwargs):
        self.keep(event, args, kwargs)

    return record


for _event in IGNORED_BY:
    setattr(Recorder, _event, _recording(_event))
    setattr(AsyncDriven, _event, _recording_later(_event))


class Processor(SpanProcessor):
    """Keeps the names and ids of the spans that it hears."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.started_ids: list[int] = []
        self.ended_ids: list[int] = []
        self.trace_ids: set[int] = set()
        self.calls: list[str] = []

    def on_start(self, span, parent_context=None) -> None:
        self.started.append(span.name)
        self.started_ids.append(span.get_span_context().span_id)
        self.trace_ids.add(span.get_span_context().trace_id)

    def on_end(self, span) -> None:
        self.ended.append(span.name)
        self.ended_ids.append(span.get_span_context().span_id)

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.calls.append("force_flush")
        return True


def names(processors: list[Processor]) -> Iterator[list[str]]:
    """Yield what each processor heard start, sorted."""
    for each in processors:
        assert sorted(each.started) == sorted(each.ended)
        yield sorted(each.started)
