"""How runs end that return nothing."""

import asyncio

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from langgraph.errors import GraphInterrupt, GraphRecursionError, NodeInterrupt, ParentCommand
from langgraph.types import Command
from langgraph.warnings import LangGraphDeprecatedSinceV10

from runspan import OpenTelemetryCallbackHandler, Settings
from runspan.payload import Failure, error_message, failure
from tests.fakes import Model, Retriever
from tests.meaning.test_signals import Logger


class QuotaError(Exception):
    """An error of the application."""


class Mute(Exception):  # noqa: N818  named for what it does
    """An error that fails when it is asked what happened."""

    def __str__(self):
        raise QuotaError


class GraphBubbleUp(Exception):  # noqa: N818  the name is the point
    """An error that only shares its name with LangGraph's."""


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (ValueError("no"), Failure("error", "ValueError"), "no"),
        (QuotaError("spent"), Failure("error", f"{__name__}.QuotaError"), "spent"),
        (KeyboardInterrupt(), Failure("error", "KeyboardInterrupt"), ""),
        (TimeoutError("10 s"), Failure("error", "TimeoutError"), "10 s"),
        (asyncio.CancelledError(), Failure("cancelled", "asyncio.exceptions.CancelledError"), ""),
        (GeneratorExit(), Failure("abandoned", "GeneratorExit"), ""),
        (GraphInterrupt(()), Failure("interrupted", "langgraph.errors.GraphInterrupt"), "()"),
        (
            ParentCommand(Command(goto="x")),
            Failure("handed_off", "langgraph.errors.ParentCommand"),
            "Command(goto='x')",
        ),
        (GraphRecursionError("25"), Failure("error", "langgraph.errors.GraphRecursionError"), "25"),
        (GraphBubbleUp("x"), Failure("error", f"{__name__}.GraphBubbleUp"), "x"),
        (Mute(), Failure("error", f"{__name__}.Mute"), "<unprintable Mute>"),
        (ValueError("\ud800"), Failure("error", "ValueError"), "\ufffd"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_tells_how_the_run_ended(error, expected, message):
    """Errors, cancellations, abandoned generators and control flow are told apart, and their message never fails."""
    assert failure(error) == expected
    assert error_message(error) == message


def test_a_deprecated_interrupt_is_an_interrupt():
    """LangGraph's older interrupt counts as one, by its base class."""
    with pytest.warns(LangGraphDeprecatedSinceV10):
        error = NodeInterrupt("wait")
    assert failure(error).outcome == "interrupted"


def test_a_message_is_bounded(tracing):
    """An error that carries a whole payload in its message does not make a span of its size."""

    def fail(_):
        raise ValueError("x" * 1_000_000)

    with pytest.raises(ValueError, match="xxx"):
        RunnableLambda(fail, name="fails").invoke("?", tracing.config)
    description = tracing.one("fails").status.description
    kept, note = description.split("…")
    assert len(description) <= 10_000
    assert note == f" [{1_000_000 - len(kept):,} characters left out]"


class Costly(Exception):  # noqa: N818  named for what it is
    """An error that may not be asked what happened."""

    def __str__(self):
        Costly.asked = True
        return "costly"


@pytest.mark.parametrize("kind", ["chain", "model", "tool", "retriever"])
def test_no_error_is_asked_for_its_text_where_that_is_not_recorded(tracing, kind):
    """With content off the code of an error does not run, and one may hold a whole state."""
    Costly.asked = False
    settings = Settings(capture_content="none")
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, logger_provider=Logger(), settings=settings
    )

    def fail(_):
        raise Costly

    def fail_without() -> str:
        raise Costly

    failing = {
        "chain": RunnableLambda(fail),
        "model": Model(answer=fail),
        "tool": StructuredTool.from_function(fail_without, name="fails", description="Fails."),
        "retriever": Retriever(found=Costly()),
    }
    with pytest.raises(Costly):
        failing[kind].invoke({} if kind == "tool" else "x", {"callbacks": [handler]})
    (span,) = tracing.spans
    assert span.attributes["error.type"].endswith("Costly")
    assert not Costly.asked


def test_a_hand_off_is_not_asked_for_its_text(tracing, monkeypatch):
    """A graph that is left for another has no text of an error, though its command may hold a whole state."""
    monkeypatch.setattr(ParentCommand, "__str__", Costly.__str__)
    Costly.asked = False

    def leave(_):
        raise ParentCommand(Command(graph=Command.PARENT, goto="x"))

    with pytest.raises(ParentCommand):
        RunnableLambda(leave, name="leaves").invoke("?", tracing.config)
    assert tracing.one("leaves").attributes["langchain.run.outcome"] == "handed_off"
    assert not Costly.asked
