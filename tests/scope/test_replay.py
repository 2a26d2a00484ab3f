"""A recording drives callback handlers as the invocation did."""

import json

import pytest
from langchain_core.messages import HumanMessage
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

import runspan
from runspan import OpenTelemetryCallbackHandler, Settings
from tests.context.shapes import SHAPES
from tests.fakes import ASKED, USAGE, AgentModel, Retriever, body, tool
from tests.recorders import AsyncDriven, Driven
from tests.tracing import Tracing


@pytest.fixture
def tracing():
    """Record with the inputs and outputs of chains."""
    return Tracing(Settings(capture_chains=True))


def listen(tracing):
    """Note the live events."""
    live = Driven()
    tracing.handler = OpenTelemetryCallbackHandler(
        callbacks=[live], tracer_provider=tracing.provider, settings=tracing.handler.settings
    )
    return live


def gist(heard):
    """Return of an event what a trace can tell: its name, the run's name and place, texts, tool calls, usage."""
    return [
        (each.event, each.kwargs["run_id"], each.kwargs["parent_run_id"], sorted(each.kwargs["tags"]), *_said(each))
        for each in heard
        if each.event != "on_llm_new_token"
    ]


def _said(each):
    match each.event:
        case "on_chat_model_start":
            ((messages,),) = each.args
            return [(message.type, message.text, getattr(message, "tool_calls", None)) for message in messages]
        case "on_llm_end":
            ((generation,),) = each.args[0].generations
            message = generation.message
            return [generation.text, message.tool_calls, message.usage_metadata]
        case "on_retriever_end":
            return [(document.page_content, document.metadata) for document in each.args[0]]
        case "on_tool_start":
            return [each.kwargs["inputs"], each.kwargs.get("tool_call_id")]
        case "on_tool_end":
            return [getattr(each.args[0], "content", each.args[0])]
        case _:
            return [str(each.args[0])] if each.event.endswith("error") else [each.kwargs.get("name")]


def failing(given):
    raise ValueError("no")


def runnables(tracing):
    from langchain.agents import create_agent

    return {
        "agent": (
            create_agent(AgentModel(tracing=tracing, usage=USAGE), [tool(tracing)]),
            ASKED,
        ),
        "sequence": (SHAPES["sequence"](tracing).runnable, {"x": 1}),
        "retriever": (body(tracing, "ask") | Retriever(tracing=tracing), "x"),
        "error": (body(tracing, "first") | body(tracing, "broken", failing), "x"),
    }


@pytest.mark.parametrize("what", ["agent", "sequence", "retriever", "error"])
def test_the_same_events_from_a_recording(tracing, what):
    """Replayed from the spans, the events have the same order, names, texts, tool calls and usage."""
    live, replayed = listen(tracing), Driven()
    runnable, given = runnables(tracing)[what]
    try:
        runnable.invoke(given, {**tracing.config, "tags": ["mine"]})
    except ValueError:
        assert what == "error"
    runspan.replay(tracing.spans, callbacks=[replayed])
    assert gist(replayed.heard) == gist(live.heard)


async def test_from_a_file(tracing, tmp_path):
    """A file of OTLP drives handlers, sync and async, as the spans themselves do."""
    shape = SHAPES["agent"](tracing)
    shape.runnable.invoke(shape.given, tracing.config)
    path = tmp_path / "spans"
    path.write_bytes(encode_spans(tracing.spans).SerializeToString())
    from_spans, from_file, later = Driven(), Driven(), AsyncDriven()
    runspan.replay(tracing.spans, callbacks=[from_spans])
    runspan.replay(path, callbacks=[from_file, later])
    assert gist(from_file.heard) == gist(later.heard) == gist(from_spans.heard)
    assert from_file.events.count("on_chat_model_start") == 2


def test_what_goes_through_chains(tracing):
    """Recorded inputs and outputs of chains are told: prompts and messages as such, all else as plain values."""
    shape, replayed = SHAPES["sequence"](tracing), Driven()
    shape.runnable.invoke(shape.given, tracing.config)
    runspan.replay(tracing.spans, callbacks=[replayed])
    (outputs, *_) = [each.args[0] for each in replayed.heard if each.event == "on_chain_end"]
    assert outputs.messages == [HumanMessage("1")]
    (inputs, *_) = [each.args[0] for each in replayed.heard if each.event == "on_chain_start"]
    assert inputs == {"x": 1}


def test_one_call_is_heard_once(tracing):
    """In a recording, too, the span of an SDK within a model's is the same call, and spans without a meaning none."""
    replayed = Driven()
    chat = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps([])}
    with (
        tracing.span("server"),
        tracing.tracer.start_as_current_span("outer", attributes=chat),
        tracing.span("POST"),
        tracing.tracer.start_as_current_span("inner", attributes=chat),
    ):
        pass
    runspan.replay([*tracing.spans, *tracing.spans], callbacks=[replayed])
    assert replayed.events == ["on_chat_model_start", "on_llm_end"]
    assert [each.kwargs["parent_run_id"] for each in replayed.heard] == [None, None]


def test_wrong_callbacks(tracing):
    """A handler of the wrong type is an error that names it, before anything is read."""
    with pytest.raises(TypeError, match=r"callbacks\[0\] is 7"):
        runspan.replay("nowhere", callbacks=[7])
