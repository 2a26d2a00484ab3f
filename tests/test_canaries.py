"""Content off means off: canaries in every place of a run, and none in what leaves the process, the disk or the log."""

import asyncio
import gzip
import logging
import re
from pathlib import Path
from typing import Annotated, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import dispatch_custom_event
from langchain_core.documents import Document
from langchain_core.embeddings import FakeEmbeddings
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.types import Command, interrupt
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import runspan
from runspan import OpenTelemetryCallbackHandler, Settings
from tests.fakes import Completion, Model, Retriever
from tests.tracing import Tracing

CANARY = re.compile(r"canary-[a-z-]+")


def call(name, **arguments):
    return [{"name": name, "args": arguments, "id": "call_1"}]


def answer(messages):
    """Call the tool once, then answer."""
    if isinstance(messages[-1], ToolMessage):
        return AIMessage("canary-answer", additional_kwargs={"reasoning_content": "canary-thought"})
    return AIMessage(
        [{"type": "text", "text": "canary-text"}, {"type": "thinking", "thinking": "canary-thinking"}],
        tool_calls=call("look", x="canary-argument"),
    )


def look(x: str) -> str:
    return {"canary-result-key": "canary-result"}


def fail(value):
    raise ValueError(f"canary-error {'canary-in-a-literal'}") from KeyError("canary-cause")


class Broken(FakeEmbeddings):
    """Embeddings that fail."""

    def embed_query(self, text):
        raise ValueError(text)


class Hostile:
    """A value whose own code raises with a user's text: the guard takes that."""

    def __repr__(self):
        raise RuntimeError("canary-of-a-value")


class State(TypedDict):
    """A state with messages and more."""

    messages: Annotated[list, add_messages]
    note: dict


def wait_for_user(state):
    return {"note": {"answer": interrupt({"canary-interrupt-key": "canary-interrupt"})}}


async def leave_stream(model, config):
    stream = model.astream("canary-left-prompt", config)
    async for _ in stream:
        break
    await stream.aclose()


def run_all(config, providers):
    """Run every kind of run, with a canary of its own in every place."""
    tool = StructuredTool.from_function(look, name="look", description="Looks.")
    agent = create_agent(Model(answer=answer), [tool], name="helper", system_prompt="canary-system")
    agent.invoke({"messages": [("user", "canary-question")]}, config)
    graph = StateGraph(State).add_node("ask", wait_for_user).add_edge(START, "ask").add_edge("ask", END)
    waiting = graph.compile(checkpointer=InMemorySaver())
    thread = {**config, "configurable": {"thread_id": "t1"}}
    waiting.invoke({"messages": [HumanMessage("canary-message")], "note": {"canary-key": "canary-state"}}, thread)
    waiting.invoke(Command(resume="canary-resume"), thread)
    prompt = ChatPromptTemplate.from_messages([("system", "canary-template {topic}"), ("user", "{topic}")])
    chain = prompt | Model(answer="canary-streamed") | RunnableLambda(lambda message: {"out": "canary-output"})
    chain.invoke({"topic": "canary-variable"}, config)
    list(chain.stream({"topic": "canary-streamed-variable"}, config))
    asyncio.run(leave_stream(Model(answer="left and more words"), config))
    Retriever(found=[Document("canary-document", metadata={"source": "canary-source"})]).invoke("canary-query", config)
    Completion().invoke("canary-completion", config)
    Model().bind(stop=["canary-stop"]).invoke([SystemMessage("canary-instruction"), HumanMessage("x")], config)
    RunnableLambda(lambda x: dispatch_custom_event("progress", {"canary-event-key": "canary-event"})).invoke(
        "x", config
    )
    RunnableLambda(lambda x: Hostile()).invoke({"value": Hostile()}, config)
    failing_tool = StructuredTool.from_function(fail, name="fail", description="Fails.")
    failing = (RunnableLambda(fail), Model(answer=fail), failing_tool, Retriever(found=ValueError("canary-lost")))
    for each in failing:
        with pytest.raises(ValueError, match="canary"):
            each.invoke({"value": "canary-failing"} if each is failing_tool else "canary-failing", config)
    traced = runspan.trace_embeddings(Broken(size=2), settings=config["callbacks"][0].settings, **providers)
    with pytest.raises(ValueError, match="canary"):
        traced.embed_query("canary-embedded")


class Left:
    """What left the process: OTLP of traces, logs and metrics, the spool, and the log."""

    def __init__(self, settings, folder, caplog):
        caplog.set_level(logging.DEBUG)
        tracing, reader, exporter = Tracing(), InMemoryMetricReader(), InMemoryLogRecordExporter()
        meters, loggers = MeterProvider([reader], shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        # Nobody listens there, so all spans go to the disk.
        spooling = runspan.OtlpSpanProcessor("http://127.0.0.1:9", spool=runspan.Spool(folder))
        tracing.provider.add_span_processor(spooling)
        handler = OpenTelemetryCallbackHandler(
            tracer_provider=tracing.provider, meter_provider=meters, logger_provider=loggers, settings=settings
        )
        metadata = {"note": "canary-metadata", "user_id": "canary-user", "release": "canary-release"}
        config = {"callbacks": [handler], "tags": ["canary-tag"], "metadata": metadata}
        run_all(config, {"tracer_provider": tracing.provider, "meter_provider": meters})
        spooling.force_flush(3_000)
        self.spans = encode_spans(tracing.spans).SerializeToString()
        self.logs = encode_logs(exporter.get_finished_logs()).SerializeToString()
        self.metrics = encode_metrics(reader.get_metrics_data()).SerializeToString()
        self.spool = b"".join(map(unpacked, (path for path in Path(folder).rglob("*") if path.is_file())))
        self.lines = "\n".join(map(logging.Formatter().format, caplog.records)).encode()
        spooling.shutdown()
        reader.shutdown()

    def canaries(self, name):
        """Return the canaries in one of them."""
        return set(CANARY.findall(getattr(self, name).decode(errors="replace")))


def unpacked(path):
    """Return what is in a file of the spool."""
    data = path.read_bytes()
    start = data.find(b"\x1f\x8b\x08")  # two bytes alone may also be those of an id
    return data + (gzip.decompress(data[start:]) if start >= 0 else b"")


@pytest.mark.newest
def test_no_canary_leaves_where_content_is_off(tmp_path, caplog):
    """With content off no word of the user's is in traces, logs and metrics as bytes, the spool or the log."""
    left = Left(Settings(capture_content="none", capture_chains="all"), tmp_path / "spool", caplog)
    assert len(left.spans) > 5_000
    assert len(left.spool) > 5_000
    assert len(left.logs) > 1_000
    for name in ("spans", "logs", "metrics", "spool", "lines"):
        assert left.canaries(name) == set(), name
    for kept in (b"helper", b"look", b"ValueError", b"t1", b"invoke_agent"):
        assert kept in left.spans


@pytest.mark.newest
def test_every_canary_leaves_where_content_is_on(tmp_path, caplog):
    """With content on each of these words does leave: the test above looks for what could be there."""
    on = Settings(capture_content="span_and_event", capture_chains="all", metadata_keys=("note",))
    left = Left(on, tmp_path / "spool", caplog)
    everywhere = set(CANARY.findall(Path(__file__).read_text())) - {"canary-of-a-value"}
    assert everywhere - left.canaries("spans") - left.canaries("logs") == set()
    assert len(everywhere) > 35
    assert {"canary-answer", "canary-variable", "canary-lost"} <= left.canaries("spool")
    assert {"canary-event", "canary-question", "canary-cause"} <= left.canaries("logs")
    assert left.canaries("metrics") == left.canaries("lines") == set()


def test_with_a_redactor_no_canary_leaves(tmp_path, caplog):
    """With a redactor none of these words leaves unredacted, though content is on."""
    settings = Settings(
        capture_content="span_and_event",
        capture_chains="all",
        metadata_keys=("note",),
        redact=lambda text, _: CANARY.sub("****", text),
    )
    left = Left(settings, tmp_path / "spool", caplog)
    for name in ("spans", "logs", "metrics", "spool", "lines"):
        assert left.canaries(name) == set(), name
    assert left.spans.count(b"****") > 40
