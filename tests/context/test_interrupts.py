"""Ctrl-C and sys.exit at any point: the exception is the application's, each run ends and each span once."""

import asyncio
import sys
import threading
from pathlib import Path

import langchain_core
import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import runspan
from tests.fakes import Model
from tests.interrupts import OURS, in_a_thread, interrupt_everywhere
from tests.otlp_receivers import HttpReceiver
from tests.programs import run_python
from tests.recorders import Driven, Processor

LANGCHAINS = str(Path(langchain_core.__file__).parent)


model = FakeListChatModel(responses=["hi"])


@tool
def asks(x: int) -> str:
    """Ask the model."""
    return model.invoke("question").content


AGENT = RunnableLambda(lambda x: asks.invoke({"x": x}), name="agent")
SEQUENCE = RunnableLambda(lambda x: "question", name="first") | model
CALLS = {
    "invoke": lambda config: AGENT.invoke(1, config),
    "stream": lambda config: list(SEQUENCE.stream(1, config)),
    "model": lambda config: model.invoke("question", config),
    "model stream": lambda config: list(model.stream("question", config)),
}


@pytest.mark.parametrize(
    ("shape", "packages", "step"),
    [
        ("invoke", (OURS,), 7),
        ("stream", (OURS,), 11),
        ("model", (OURS,), 1),
        ("model stream", (OURS,), 1),
        ("invoke", (OURS, LANGCHAINS), 23),
        ("model stream", (OURS, LANGCHAINS), 5),
    ],
)
@in_a_thread
def test_an_interrupt_leaves_nothing_open(tracing, quiet, shape, packages, step):
    """Wherever Ctrl-C strikes, in our code or in LangChain's, no run stays open or current and each span ends once."""
    ids = Processor()
    tracing.provider.add_span_processor(ids)

    def check(at):
        tracing.handler.force_flush()
        tracing.settle()
        assert sorted(ids.ended_ids) == sorted(ids.started_ids), at
        assert (
            trace.get_current_span() is trace.INVALID_SPAN or not trace.get_current_span().get_span_context().is_valid
        )

    assert interrupt_everywhere(lambda: CALLS[shape](tracing.config), packages, step, check) > 50
    tracing.exporter.clear()
    CALLS["invoke"](tracing.config)
    assert tracing.text() == "agent\n  execute_tool asks\n    chat"


@pytest.mark.parametrize("shape", ["invoke", "stream"])
@in_a_thread
def test_an_interrupt_leaves_nothing_of_what_is_not_sampled(tracing, quiet, shape):
    """Wherever Ctrl-C strikes in a run that is sampled out, or in one within it, neither is remembered as open."""
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    handler = runspan.OpenTelemetryCallbackHandler(tracer_provider=provider)

    def check(at):
        handler.force_flush()
        tracing.settle()
        assert (handler.open_runs, handler._bridge.table.unseen) == (0, {}), at

    assert interrupt_everywhere(lambda: CALLS[shape]({"callbacks": [handler]}), (OURS,), 1, check) > 50


@in_a_thread
def test_an_interrupt_among_listeners_leaves_no_run_open(tracing):
    """The same with listeners, whose spans end at most once: Ctrl-C within OpenTelemetry may keep one from its end."""
    ids = Processor()
    tracing.handler = runspan.OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, span_processors=[ids], callbacks=[Driven()]
    )

    def check(at):
        tracing.handler.force_flush()
        tracing.settle()
        assert len(ids.ended_ids) == len(set(ids.ended_ids)), at

    assert interrupt_everywhere(lambda: AGENT.invoke(1, tracing.config), (OURS,), 11, check) > 50


@in_a_thread
def test_an_interrupt_of_the_start_of_a_block_leaves_none_open(tracing):
    """Ctrl-C while a block opens leaves no scope behind: what comes after is not heard."""
    heard = Processor()
    block = runspan.invocation(tracer_provider=tracing.provider, span_processors=[heard])
    block.__enter__()
    block.__exit__(None, None, None)

    def check(at):
        tracing.mark("after")
        assert heard.started == [], at

    assert interrupt_everywhere(block.__enter__, (OURS,), 2, check) > 50
    tracing.mark("within")
    block.__exit__(None, None, None)
    tracing.mark("after")
    assert len(heard.started) == 1


def test_a_thread_that_exits_in_a_run_delivers_it():
    """``sys.exit`` in a run of a thread ends the thread and its runs; their spans arrive, and what comes after."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            import sys, threading
            from langchain_core.runnables import RunnableLambda
            import runspan

            handle = configure(endpoint={receiver.endpoint!r})
            handler = runspan.OpenTelemetryCallbackHandler()
            leave = RunnableLambda(lambda _: sys.exit(3), name="leaves")
            outer = RunnableLambda(lambda x: leave.invoke(x), name="outer")
            threads = [
                threading.Thread(target=outer.invoke, args=(1, {{"callbacks": [handler]}})) for _ in range(5)
            ]
            for each in threads: each.start()
            for each in threads: each.join()
            RunnableLambda(lambda x: x, name="after").invoke(1, {{"callbacks": [handler]}})
            emit([handler.open_runs, handle.force_flush(10)])
            """
        )
        spans = receiver.received()
    assert (ended.emitted, ended.stderr) == ([[0, True]], [])
    assert sorted(span["name"] for span in spans) == ["after", *["leaves"] * 5, *["outer"] * 5]
    assert {span["attributes"].get("error.type") for span in spans} == {None, "SystemExit"}


def test_lost_runs_end_also_after_a_processor_exits_in_the_thread_that_ends_them(tracing):
    """SystemExit of a span processor where a lost run ends does not end the thread that ends the next ones."""

    class Leaving(SpanProcessor):
        def on_end(self, span):
            if threading.current_thread().name == "runspan-reaper" and not left:
                left.append(span.name)
                sys.exit(1)

    async def lose():
        task = asyncio.create_task(Model(hangs_after=0).ainvoke("x", tracing.config))
        await asyncio.sleep(0.01)
        task.cancel()  # LangChain reports no end of it
        await asyncio.wait([task])

    left = []
    tracing.provider.add_span_processor(Leaving())
    for _ in range(3):
        asyncio.run(lose())
        tracing.settle()
    assert left == ["chat"]
