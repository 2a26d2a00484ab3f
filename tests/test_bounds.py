"""What is remembered of the past is bounded: the oldest is forgotten, and what comes after it works."""

import asyncio

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, TraceFlags

from runspan import KeepingSpanProcessor, OpenTelemetryCallbackHandler, Settings
from runspan.blob_store import BlobStore
from runspan.langchain.checkpoints import interrupted_at, note_interrupted
from runspan.payload import blobs
from runspan.payload.blobs import Blob
from tests.fakes import Model, tool
from tests.recorders import Driven, Processor
from tests.tracing import Tracing
from tests.waiting import collect_until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def context(number):
    return SpanContext(number, number, is_remote=False, trace_flags=TraceFlags(1))


def test_digests_of_media(monkeypatch):
    """Media beyond those whose digests are remembered have theirs computed again, and it is the same."""
    monkeypatch.setattr(blobs, "_digests", {})
    monkeypatch.setattr(blobs, "_REMEMBERED_DIGESTS", 2)
    media = [Blob(PNG + bytes([number])) for number in range(5)]
    first = [each.digest() for each in media]
    assert len(blobs._digests) <= 2
    assert [each.digest() for each in media] == first


def test_places_of_media(monkeypatch, tmp_path):
    """A medium that is remembered no more is stored anew under another name; each is there."""
    monkeypatch.setattr("runspan.blob_store._REMEMBERED_BLOBS", 2)
    store = BlobStore(f"file://{tmp_path}")
    media = [Blob(PNG + bytes([number])) for number in (0, 1, 2, 0)]
    uris = [store.put(each) for each in media]
    assert store.force_flush(60_000)
    assert len(set(uris)) == len(list(tmp_path.iterdir())) == 4


def test_interrupted_graphs(monkeypatch):
    """Of graphs that wait the last ones are linked to when they go on."""
    monkeypatch.setattr(
        "runspan.langchain.checkpoints._interrupted", type(interrupted_at.__globals__["_interrupted"])()
    )
    monkeypatch.setattr("runspan.langchain.checkpoints._REMEMBERED", 2)
    for number in (1, 2, 3):
        note_interrupted(f"checkpoint {number}", context(number))
    assert [interrupted_at(f"checkpoint {number}") for number in (1, 2, 3)] == [None, context(2), context(3)]


def test_traces_that_are_kept(monkeypatch):
    """Of a trace that was kept long ago what starts later is judged by itself; of one kept just now it is kept."""
    monkeypatch.setattr("runspan.processors.keeping._REMEMBERED_TRACES", 1)
    kept = Processor()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(KeepingSpanProcessor(kept))
    tracer = provider.get_tracer("test")
    traces = {}
    for name in ("long ago", "just now"):
        span = tracer.start_span(name)
        span.set_status(trace.StatusCode.ERROR)
        span.end()
        traces[name] = trace.set_span_in_context(span)
    for name, above in traces.items():
        tracer.start_span(f"after {name}", above).end()
    assert kept.ended == ["long ago", "just now", "after just now"]


@pytest.mark.newest  # LangChain 1.0 tells no handler which call a tool answers
def test_tool_calls_that_nobody_answers(monkeypatch):
    """Of the calls that models request and no tool makes the last ones are remembered; links to those are there."""
    monkeypatch.setattr("runspan.runs.invocation_state._MOST_SPANS", 3)
    tracing = Tracing()
    calls = [{"name": "look", "args": {}, "id": f"call {number}"} for number in range(6)]

    def ask(_):
        Model(answer=AIMessage("", tool_calls=calls)).invoke("q")
        look = tool(tracing)
        for number in (0, 5):
            look.invoke({"type": "tool_call", "name": "look", "id": f"call {number}", "args": {"x": 1}})

    RunnableLambda(ask).invoke("x", tracing.config)
    assert [len(span.links) for span in tracing.named("execute_tool look")] == [0, 1]


async def test_runs_that_were_abandoned(monkeypatch):
    """Of runs that were ended for LangChain the last ones are remembered: callback handlers get their late end."""
    monkeypatch.setattr("runspan.runs.table._REMEMBERED_RUNS", 1)
    tracing, heard = Tracing(), Driven()
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, callbacks=[heard])

    async def lose():
        task = asyncio.create_task(Model(hangs_after=0).ainvoke("x", {"callbacks": [handler]}))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    for _ in range(2):
        await lose()
        collect_until(lambda: handler.open_runs == 0)
    first, second = [each.kwargs["run_id"] for each in heard.heard if each.event == "on_chat_model_start"]
    for run_id in (first, second):
        handler.on_llm_end(LLMResult(generations=[]), run_id=run_id)
    assert [each.kwargs["run_id"] for each in heard.heard if each.event == "on_llm_end"] == [second]


def test_blocks_of_a_message(monkeypatch):
    """Of a message of thousands of blocks the first are recorded, with how many there are beside."""
    monkeypatch.setattr("runspan.payload.messages._MOST_BLOCKS", 2)
    tracing = Tracing()
    Model().invoke([HumanMessage([{"type": "text", "text": f"part {number}"} for number in range(5)])], tracing.config)
    written = tracing.one("chat").attributes["gen_ai.input.messages"]
    assert "part 1" in written
    assert "part 2" not in written
    assert "… [3 blocks left out]" in written


@pytest.mark.parametrize("most", [3, 4])
def test_messages_of_a_conversation_that_is_recorded_once(monkeypatch, most):
    """A conversation with more messages than are compared is recorded whole."""
    monkeypatch.setattr("runspan.langchain.history._MOST_MESSAGES", most)
    tracing = Tracing(Settings(history="new"))
    messages = [HumanMessage("one"), AIMessage("two"), HumanMessage("three"), ToolMessage("four", tool_call_id="1")]

    def converse(_):
        Model().invoke(messages[:3])
        Model().invoke(messages)

    RunnableLambda(converse).invoke("x", tracing.config)
    last = tracing.named("chat")[-1].attributes
    assert ("one" in last["gen_ai.input.messages"]) is (most == 3)
    assert ("runspan.history.span_id" in last) is (most == 4)
