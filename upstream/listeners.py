"""What is heard during the tests: LangChain's runs, runspan's spans, log lines about faults.

Each is given a function that returns the test that runs now.
"""
# ruff: noqa: INP001  modules beside a script, no package

import gc
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from runspan import OpenTelemetryCallbackHandler, Settings, _guard, semconv
from runspan.callback_event import IGNORED_BY

# A handler's exceptions, faults of runspan and wrong use of OpenTelemetry stand in these logs only.
_LANGCHAIN: Final = "langchain_core"
_LOGGERS: Final = (_LANGCHAIN, "runspan", "opentelemetry")
_OF_OURS: Final = f"Error in {OpenTelemetryCallbackHandler.__name__}"

_CurrentTest = Callable[[], str]


class Runs(BaseCallbackHandler):
    """A handler that does nothing but count, for each test, the runs that start and those of them that don't finish."""

    # As runspan's handler has it.
    run_inline = True

    def __init__(self, current_test: _CurrentTest) -> None:
        self.handler = self
        self._current_test = current_test
        self._began: list[str] = []
        self._unfinished: list[str] = []
        self._open: dict[UUID, _Run] = {}

    def on_chain_start(self, *_: Any, run_id: UUID, parent_run_id: UUID | None = None, **__: Any) -> None:
        """Count a run, but not one with the id of a run that is open: some tests give the same to both."""
        if run_id not in self._open:
            self._began.append(self._current_test())
            self._open[run_id] = _Run(parent_run_id, self._current_test())

    on_chat_model_start = on_llm_start = on_tool_start = on_retriever_start = on_chain_start

    def on_chain_end(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Count a run as finished."""
        self._end(run_id, is_finished=True)

    on_llm_end = on_tool_end = on_retriever_end = on_chain_end

    def on_chain_error(self, error: BaseException, *_: Any, run_id: UUID, **__: Any) -> None:
        """Count a run as finished that raised, and was not merely cancelled or closed."""
        self._end(run_id, is_finished=isinstance(error, Exception))

    on_llm_error = on_tool_error = on_retriever_error = on_chain_error

    def collect(self) -> dict[str, Any]:
        """Return the counts."""
        never_ended = [run.test for run in self._open.values()]
        return {"began": Counter(self._began), "unfinished": Counter(self._unfinished + never_ended)}

    def _end(self, run_id: UUID, *, is_finished: bool) -> None:
        run = self._open.pop(run_id, None)
        if run is None:
            return
        # LangChain ends the inner runs of a closed stream after the outer one, if at all; of a chain's sync stream it
        # reports an ordinary end. What has inner runs that are not over did not finish either.
        inner = [id_ for id_, child in self._open.copy().items() if child.parent_id == run_id]
        if inner or not is_finished:
            self._unfinished.append(run.test)
        for child_id in inner:
            self._end(child_id, is_finished=False)


class Events(BaseCallbackHandler):
    """Notes each event, by run: which it is, its arguments (by identity, but ``serialized``), names of keywords."""

    def __init__(self, current_test: _CurrentTest) -> None:
        self.by_run: dict[UUID, list[tuple[Any, ...]]] = {}
        self.tests: dict[UUID, str] = {}
        self._current_test = current_test

    def note(self, event: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Note one."""
        self.tests.setdefault(keywords["run_id"], self._current_test())
        reported = tuple(map(id, args[1:] if event.endswith("_start") else args))
        self.by_run.setdefault(keywords["run_id"], []).append((event, *reported, *sorted(keywords)))


class Watched(OpenTelemetryCallbackHandler):
    """Notes what LangChain reports to runspan's handler, before it hears it."""

    def __init__(self, current_test: _CurrentTest, **options: Any) -> None:
        super().__init__(**options)
        self.natively = Events(current_test)


def _noting(event: str) -> Any:
    def note(self: Events, *args: Any, **keywords: Any) -> None:
        self.note(event, args, keywords)

    return note


def _watching(event: str) -> Any:
    def watch(self: Watched, *args: Any, **keywords: Any) -> None:
        self.natively.note(event, args, keywords)
        getattr(super(Watched, self), event)(*args, **keywords)

    return watch


for _event in IGNORED_BY:
    setattr(Events, _event, _noting(_event))
    setattr(Watched, _event, _watching(_event))


class Spans(SpanProcessor):
    """Counts, for each test, the spans that runspan's handler starts, and which of them end how.

    The handler drives a callback handler, too, and keeps what LangChain reports, to compare.
    """

    def __init__(self, current_test: _CurrentTest) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self)
        settings = Settings(capture_content="span")
        self._driven = Events(current_test)
        self.handler = Watched(current_test, callbacks=[self._driven], tracer_provider=provider, settings=settings)
        self._current_test = current_test
        # Only lists that are appended to: spans start and end in any thread, also in the midst of a collection.
        self._began: list[_Began] = []
        self._ended: list[_Ended] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  the interface
        """Count a span."""
        context = span.get_span_context()
        self._began.append(_Began((context.trace_id, context.span_id), span.name, self._current_test()))

    def on_end(self, span: ReadableSpan) -> None:
        """Keep how it ended."""
        outcome = (span.attributes or {}).get(semconv.RUN_OUTCOME)
        self._ended.append(_Ended((span.context.trace_id, span.context.span_id), outcome is not None))

    def collect(self) -> dict[str, Any]:
        """Return the counts, after all has ended that can."""
        gc.collect()
        self.handler.force_flush(5)
        left_to_shutdown = self._open()
        self.handler.shutdown(5)
        unfinished = {span.ids for span in self._ended if span.is_unfinished}
        natively = self.handler.natively.by_run
        return {
            "began": Counter(span.test for span in self._began),
            "unfinished": Counter(span.test for span in self._began if span.ids in unfinished),
            "ended": len(self._ended),
            "left_to_shutdown": left_to_shutdown,
            "never_ended": self._open(),
            "open_runs": self.handler.open_runs,
            "faults": _guard.faults(),
            "events": sum(map(len, natively.values())),
            "reported_differently": [
                f"{self.handler.natively.tests[run_id]}: {_first_difference(events, heard)}"
                for run_id, events in natively.items()
                if (heard := self._driven.by_run.get(run_id, [])) != _until_its_end(events) and not _is_two_runs(events)
            ],
        }

    def _open(self) -> list[str]:
        ended = {span.ids for span in self._ended}
        return [f"{span.name}, began in {span.test}" for span in self._began if span.ids not in ended]


class LogLines(logging.Handler):
    """Keeps the log lines about faults of runspan's, whatever the tests do with the log."""

    def __init__(self, current_test: _CurrentTest) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._current_test = current_test
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep LangChain's lines about our handler, and the warnings of the others."""
        line = record.getMessage()
        of_langchain = record.name.startswith(_LANGCHAIN)
        if _OF_OURS in line if of_langchain else record.levelno >= logging.WARNING:
            self.lines.append(f"{record.name}: {line}, in {self._current_test()}")


def _until_its_end(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Leave out that a run failed after it had ended: LangChain says so of a v3 stream when its loop is closed."""
    ends = [at for at, event in enumerate(events) if event[0].endswith(("_end", "_error"))]
    return events[: ends[0] + 1] if ends else events


def _is_two_runs(events: list[tuple[Any, ...]]) -> bool:
    """Return whether a test gave one id to two runs."""
    return sum(event[0].endswith("_start") for event in events) > 1


def _first_difference(by_langchain: list[tuple[Any, ...]], by_runspan: list[tuple[Any, ...]]) -> str:
    at = next((at for at, pair in enumerate(zip(by_langchain, by_runspan, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(by_langchain), len(by_runspan)) if at is None else at
    started = by_langchain[0][0]
    return f"after {started} and {at} events LangChain reported {by_langchain[at:][:2]}, runspan {by_runspan[at:][:2]}"


class _Run(NamedTuple):
    parent_id: UUID | None
    test: str


class _Began(NamedTuple):
    ids: tuple[int, int]
    name: str
    test: str


class _Ended(NamedTuple):
    ids: tuple[int, int]
    is_unfinished: bool
