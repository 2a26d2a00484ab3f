"""What Jaeger's GenAI view makes of the traces; what it understands stands in ``data/jaeger_genai_view.json``."""

import json
from pathlib import Path

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import semconv, trace_embeddings
from runspan.payload import input_messages
from runspan.processors.one_call import OneCallSpanProcessor
from tests.context.shapes import AGENT, SHAPES
from tests.fakes import PlainEmbeddings, SyncModel

VIEW = json.loads((Path(__file__).parent / "data" / "jaeger_genai_view.json").read_text())
# What each kind of run is to be in the view; those without an operation are plain spans there.
KINDS = {
    "chat_model": "LLM_CALL",
    "llm": "LLM_CALL",
    "tool": "TOOL_CALL",
    "retriever": "RETRIEVAL",
    "agent": "AGENT",
    "graph": "AGENT",
    "chain": None,
    "prompt": None,
    "parser": None,
}
DATA = "iVBORw0KGgo="
BLOCKS = [
    {"type": "text", "text": "seen"},
    {"type": "reasoning", "reasoning": "hm"},
    {"type": "thinking", "thinking": "hm"},
    {"type": "image", "base64": DATA, "mime_type": "image/png"},
    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}},
    {"type": "file", "file_id": "file_1"},
    {"type": "tool_use", "id": "call_1", "name": "look", "input": {"x": 1}},
    {"type": "tool_result", "tool_use_id": "call_1", "content": "seen"},
]
MESSAGES = [
    SystemMessage("Be brief."),
    HumanMessage(BLOCKS),
    AIMessage("Hello", tool_calls=[{"name": "look", "args": {"x": 1}, "id": "call_1"}]),
    AIMessage("", additional_kwargs={"reasoning_content": "hm"}),
    AIMessageChunk("Hello"),
    ToolMessage("seen", tool_call_id="call_1"),
    FunctionMessage("seen", name="look"),
    ChatMessage("Hello", role="user"),
]


ANSWER = AIMessage(
    "",
    tool_calls=[{"name": "look", "args": {"x": 1}, "id": "call_1"}],
    usage_metadata={
        "input_tokens": 16,
        "output_tokens": 9,
        "total_tokens": 25,
        "input_token_details": {"cache_read": 4, "cache_creation": 2},
        "output_token_details": {"reasoning": 3},
    },
    response_metadata={"model_name": "m-1"},
)


def classify(attributes):
    """Return the kind that the view sees in a span, None if it is a plain one."""
    operation = attributes.get(semconv.OPERATION)
    if isinstance(operation, str):
        return VIEW["operations"].get(operation, "UNKNOWN_GENAI")
    is_genai = any(name.startswith(VIEW["makes_a_span_genai"]) for name in attributes)
    return "UNKNOWN_GENAI" if is_genai else None


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_run(tracing, shape):
    """Each run that the conventions have an operation for is what it is in the view, and no other run is in it."""
    runnable, given, _ = SHAPES[shape](tracing)
    runnable.invoke(given, tracing.config)
    runs = [span.attributes for span in tracing.spans if "langchain.run.type" in span.attributes]
    assert runs
    assert [classify(run) for run in runs] == [KINDS[run["langchain.run.type"]] for run in runs]


def test_every_operation(tracing):
    """All operations that are emitted are among those of the view."""
    for shape in ("model", "completion_in_chain", "tool", "retriever", "graph", "agent"):
        runnable, given, _ = SHAPES[shape](tracing)
        runnable.invoke(given, tracing.config)
    trace_embeddings(PlainEmbeddings(), tracer_provider=tracing.provider).embed_query("x")
    emitted = {span.attributes[semconv.OPERATION] for span in tracing.spans if semconv.OPERATION in span.attributes}
    expected = {"chat", "text_completion", "execute_tool", "retrieval", "invoke_workflow", AGENT, "embeddings"}
    assert emitted == expected
    assert emitted <= VIEW["operations"].keys()


def test_the_tab_of_a_model(tracing):
    """Model, every count and both sides of the conversation are where the view reads them, as JSON that it parses."""
    SyncModel(tracing=tracing, answer=ANSWER).invoke("Grüße", tracing.config)
    attributes = tracing.one("chat").attributes
    usage = [attributes[name] for name in VIEW["attributes"]["usage"]]
    assert usage == [16, 9, 4, 2, 3]
    assert attributes["gen_ai.response.model"] == "m-1"
    assert "Grüße" in attributes["gen_ai.input.messages"]
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        assert name in VIEW["attributes"]["conversation"]
        assert isinstance(json.loads(attributes[name]), list)


@pytest.mark.newest
def test_the_tab_of_a_tool(tracing):
    """All that the view shows of a tool is there."""

    @tool
    def look(x: int) -> str:
        """Look."""
        return "seen"

    look.invoke({"type": "tool_call", "id": "call_1", "name": "look", "args": {"x": 1}}, tracing.config)
    attributes = tracing.one("execute_tool look").attributes
    assert [name for name in VIEW["attributes"]["tool_call"] if name not in attributes] == []


def test_parts_of_messages():
    """Parts of the usual content are of types that the view renders, with the fields that it reads, in its roles."""
    messages = json.loads(input_messages(MESSAGES)[semconv.INPUT_MESSAGES])
    assert {message["role"] for message in messages} == set(VIEW["messages"]["roles"])
    parts = [part for message in messages for part in message["parts"]]
    for part in parts:
        assert part.keys() >= set(VIEW["messages"]["parts"][part["type"]]), part
    assert {part["type"] for part in parts} == {
        "text",
        "reasoning",
        "tool_call",
        "tool_call_response",
        "uri",
        "file",
    }


def test_totals_of_a_trace(tracing):
    """The view adds up the spans of models, so agents and the bare spans of SDKs add nothing to it."""
    sent = InMemorySpanExporter()
    tracing.provider.add_span_processor(OneCallSpanProcessor(SimpleSpanProcessor(sent)))

    def call():
        with tracing.span("sdk") as span:
            span.set_attributes({semconv.OPERATION: "chat", semconv.INPUT_TOKENS: 5, semconv.OUTPUT_TOKENS: 3})

    agent, given, _ = SHAPES["agent"](tracing)
    agent.invoke(given, tracing.config)
    SyncModel(tracing=tracing, before=call).invoke("x", tracing.config)
    SyncModel(tracing=tracing, answer=ANSWER).invoke("x", tracing.config)
    spans = [span.attributes for span in sent.get_finished_spans()]
    calls = [span for span in spans if classify(span) == VIEW["totals"]["of_kind"]]
    assert len(calls) == 4
    assert [sum(span.get(name, 0) for span in calls) for name in VIEW["totals"]["attributes"]] == [21, 12]
    assert [sum(span.get(name, 0) for span in spans) for name in VIEW["totals"]["attributes"]] == [21, 12]
