"""Events of runs, as log records of the SDK and over OTLP."""

import asyncio
import datetime as dt
import subprocess
import sys

import pytest
from langgraph.errors import GraphInterrupt
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from pydantic import BaseModel
from tenacity import Retrying, stop_after_attempt, wait_fixed

from runspan._guard import faults
from runspan.payload.writer import UNLIMITED
from runspan.signals.events import RunEvents

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4"}
MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "Grüße"}]}]


class Events:
    """A logger provider in memory, and what was emitted as plain values."""

    def __init__(self, sampler=None) -> None:
        self.exporter = InMemoryLogRecordExporter()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self.exporter))
        self.runs = RunEvents(self.provider)
        self.span = TracerProvider(sampler, shutdown_on_exit=False).get_tracer("test").start_span("chat gpt-4")

    def emitted(self) -> list[tuple]:
        """Return name, severity and attributes of each event, after checking that it is in the span's context."""
        records = [each.log_record for each in self.exporter.get_finished_logs()]
        context = self.span.get_span_context()
        for record in records:
            assert (record.trace_id, record.span_id, record.trace_flags) == (
                context.trace_id,
                context.span_id,
                context.trace_flags,
            )
            assert record.timestamp
            assert record.body is None
        return [(record.event_name, record.severity_number.value, plain(record.attributes)) for record in records]


def plain(value):
    if isinstance(value, str | int | float | None):
        return value
    return {key: plain(each) for key, each in value.items()} if hasattr(value, "items") else [plain(e) for e in value]


@pytest.fixture
def events():
    """Emit into memory."""
    return Events()


def test_details(events):
    """The details of a call are all that its span says, at DEBUG, with its content as a structure."""
    told = CHAT | {"gen_ai.input.messages": "[as JSON]"}
    events.runs.details(events.span, lambda: (told, {"gen_ai.input.messages": MESSAGES}))
    assert events.emitted() == [
        ("gen_ai.client.inference.operation.details", 5, CHAT | {"gen_ai.input.messages": MESSAGES})
    ]


def test_details_of_what_opentelemetry_has_no_value_for(events):
    """Content with foreign values stays a structure, as JSON has them."""
    when = dt.date(2026, 11, 22)
    arguments = {"when": when, "ids": {1}, "huge": 2**200, "half": "\ud83d"}
    events.runs.details(events.span, lambda: ({}, {"gen_ai.tool.call.arguments": arguments}))
    ((_, _, attributes),) = events.emitted()
    assert attributes == {
        "gen_ai.tool.call.arguments": {"when": "2026-11-22", "ids": [1], "huge": str(2**200), "half": "\ufffd"}
    }


def test_details_when_the_span_is_not_sampled():
    """Events don't depend on whether the span is recorded."""
    events = Events(ALWAYS_OFF)
    events.runs.details(events.span, lambda: (CHAT, {}))
    assert events.emitted() == [("gen_ai.client.inference.operation.details", 5, CHAT)]


def _raised(message: str) -> Exception:
    try:
        try:
            raise KeyError("the cause, secret")
        except KeyError as cause:
            raise ValueError(message) from cause
    except ValueError as error:
        return error


def test_an_exception(events):
    """An error of a call is told at WARN, with message, stack trace and causes."""
    events.runs.exception(events.span, _raised("secret"), CHAT, write=UNLIMITED)
    ((name, severity, attributes),) = events.emitted()
    stacktrace = attributes.pop("exception.stacktrace")
    assert (name, severity, attributes) == (
        "gen_ai.client.operation.exception",
        13,
        CHAT | {"exception.type": "ValueError", "exception.message": "secret"},
    )
    assert stacktrace.endswith("ValueError: secret\n")
    assert "KeyError: 'the cause, secret'" in stacktrace


def test_an_exception_without_content(events):
    """Where content may not be told, the type and the place of an error are, its messages are not."""
    message = "a word that " + "stands nowhere in this file".upper()
    events.runs.exception(events.span, _raised(message), CHAT, write=None)
    ((_, _, attributes),) = events.emitted()
    stacktrace = attributes.pop("exception.stacktrace")
    assert attributes == CHAT | {"exception.type": "ValueError"}
    assert stacktrace.endswith("\nValueError")
    assert "test_events.py" in stacktrace
    assert message not in stacktrace


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), GraphInterrupt()], ids=repr)
def test_what_is_no_exception(events, error):
    """Cancellations, abandoned streams and LangGraph's control flow are no errors."""
    events.runs.exception(events.span, error, CHAT, write=UNLIMITED)
    assert events.emitted() == []


@pytest.mark.parametrize("operation", ["execute_tool", "invoke_agent", "invoke_workflow", None])
def test_exceptions_of_other_operations(events, operation):
    """Only calls of models, embeddings models and retrievers have an event for errors."""
    events.runs.exception(events.span, ValueError(), {"gen_ai.operation.name": operation}, write=UNLIMITED)
    assert events.emitted() == []


class Order(BaseModel):
    """What an application may dispatch."""

    item: str


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"step": 1, "parts": ["a", None, 2.5, True]}, {"step": 1, "parts": ["a", None, 2.5, True]}),
        ("text", "text"),
        (7, 7),
        (Order(item="tea"), {"item": "tea"}),
        ({"order": Order(item="tea")}, {"order": {"item": "tea"}}),
        ({1: 2**70}, {"1": "1180591620717411303424"}),
        ("\ud83d", "\ufffd"),
    ],
    ids=repr,
)
@pytest.mark.newest
def test_a_custom_event(events, data, told):
    """An event of the application has its name, and its data as JSON has them."""
    events.runs.custom(events.span, "ordered", data, write=UNLIMITED)
    assert events.emitted() == [
        ("langchain.custom", 9, {"langchain.event.name": "ordered", "langchain.event.data": told})
    ]


def test_a_custom_event_without_content(events):
    """Without content an event of the application is its name."""
    events.runs.custom(events.span, "ordered", {"secret": 1}, write=None)
    assert events.emitted() == [("langchain.custom", 9, {"langchain.event.name": "ordered"})]


def test_retries(events):
    """A try after a failed one is told with the number of the failed one, its error, and how long it waits."""
    retrying = Retrying(
        stop=stop_after_attempt(3),
        wait=wait_fixed(0.5),
        sleep=lambda _: None,
        reraise=True,
        before_sleep=lambda state: events.runs.retry(events.span, state),
    )
    with pytest.raises(TimeoutError):
        retrying(_time_out)
    assert events.emitted() == [
        (
            "langchain.retry",
            13,
            {"langchain.run.attempt": attempt, "langchain.retry.wait": 0.5, "error.type": "TimeoutError"},
        )
        for attempt in (1, 2)
    ]


def _time_out():
    raise TimeoutError


def test_text(events):
    """A text is told if content may be."""
    events.runs.text(events.span, "secret", write=None)
    events.runs.text(events.span, "hello", write=UNLIMITED)
    assert events.emitted() == [("langchain.text", 9, {"langchain.event.data": "hello"})]


def test_interrupt_and_resume(events):
    """A graph that waits and goes on is told with its checkpoint; what it asks and gets is content."""
    asked = {"i1": "really?"}
    events.runs.interrupt(events.span, "1f0", ("outer:1", "inner:2"), asked, write=UNLIMITED)
    events.runs.interrupt(events.span, "1f0", (), asked, write=None)
    events.runs.resume(events.span, "1f0", (), None, write=UNLIMITED)
    top = {"langgraph.checkpoint.id": "1f0", "langgraph.checkpoint.namespace": ""}
    assert events.emitted() == [
        (
            "langgraph.interrupt",
            9,
            {
                "langgraph.checkpoint.id": "1f0",
                "langgraph.checkpoint.namespace": "outer:1|inner:2",
                "langchain.event.data": {"i1": "really?"},
            },
        ),
        ("langgraph.interrupt", 9, top),
        ("langgraph.resume", 9, top),
    ]


def test_without_a_provider(quiet):
    """While no global logger provider is set, nothing happens."""
    assert isinstance(_logs.get_logger_provider(), _logs.LoggerProvider)
    RunEvents(None).custom(trace.INVALID_SPAN, "ordered", object(), write=UNLIMITED)


def test_the_global_provider():
    """Without a provider of its own, events go to the global one, also to one that is set later."""
    program = """
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from runspan.payload.writer import UNLIMITED
from runspan.signals.events import RunEvents

events = RunEvents(None)
exporter = InMemoryLogRecordExporter()
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
_logs.set_logger_provider(provider)
events.text(trace.INVALID_SPAN, "hello", write=UNLIMITED)
print([dict(each.log_record.attributes) for each in exporter.get_finished_logs()])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[{'langchain.event.data': 'hello'}]\n"


def test_what_is_no_provider():
    """A wrong value is named."""
    with pytest.raises(TypeError, match="logger_provider is 'localhost', not an OpenTelemetry LoggerProvider"):
        RunEvents("localhost")


def test_a_retry_that_can_not_be_read(events, caplog):
    """An event that can't be made is left out; no error comes of it."""
    before = faults()
    events.runs.retry(events.span, object())
    assert (events.emitted(), faults() - before) == ([], 1)
    assert "failed with AttributeError" in caplog.text
