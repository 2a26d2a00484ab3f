"""Spans that runspan made of real runs, told again: what callback handlers hear is what they heard."""

import contextlib
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from runspan import payload, semconv
from runspan.callback_event import Event
from runspan.payload import Kind
from runspan.rebuild import SpanData, end_event, start_event
from tests.fakes import ASKED, AgentModel, Completion, Model, Retriever, body, straight_graph
from tests.rebuild.span_events import Notes, rebuilt, span_data_of
from tests.tracing import Tracing

USAGE = {
    "input_tokens": 30,
    "output_tokens": 12,
    "total_tokens": 42,
    "input_token_details": {"cache_read": 20, "cache_creation": 5},
    "output_token_details": {"reasoning": 8},
}
CALLS = [{"name": "look", "args": {"x": 1}, "id": "call_1"}]
ANSWERS = {
    "text": AIMessage("three", response_metadata={"finish_reason": "stop", "model_name": "m-1-0"}, id="resp_1"),
    "calls and usage": AIMessage("See:", tool_calls=CALLS, usage_metadata=USAGE),
    "thoughts": AIMessage([{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "3"}]),
    "an image": AIMessage([{"type": "image", "url": "https://example.com/a.png", "mime_type": "image/png"}]),
    "an invalid call": AIMessage("", invalid_tool_calls=[{"name": "look", "args": "{", "id": "c", "error": None}]),
    "nothing": AIMessage(""),
}
CONVERSATION = [
    SystemMessage("Add."),
    HumanMessage("1 + 2?", name="Ann"),
    AIMessage("", tool_calls=CALLS),
    ToolMessage("seen", tool_call_id="call_1"),
    ToolMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], tool_call_id="call_2"),
    HumanMessage([{"type": "text", "text": "What"}, {"type": "text", "text": "is it?"}]),
]


DOCUMENTS = [Document("A", id="a", metadata={"source": "s", "relevance_score": 0.5})]
COMPLETION = Completion(
    generation_info={"finish_reason": "stop"},
    llm_output={
        "token_usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "model_name": "m-1-0",
    },
)


def model(answer: Any) -> Model:
    """Make a model that has a name and answers so, or raises."""
    return Model(answer=answer, params={"model": "m-1"})


@tool
def look(x: int) -> str:
    """Look."""
    if x < 0:
        raise ValueError("nothing there")
    return "seen"


def heard(event: Event) -> dict[str, Any]:
    """Return what a handler can tell of an event, but for what is not in a trace."""
    args = event.args[1:] if event.name.endswith("_start") else event.args
    kept = ("tags", "inputs", "tool_call_id", "run_type")
    found = {"event": event.name, **{key: event.kwargs.get(key) for key in kept}, "args": tuple(map(_essence, args))}
    if event.name.endswith("_start"):
        found["name"] = event.kwargs["name"] or event.args[0]["name"]
    return found


def _essence(value: Any) -> Any:
    """Leave out of an answer what is the model's own, of an error its class."""
    if isinstance(value, BaseException):
        return str(value)
    if not isinstance(value, LLMResult):
        return value
    return [_generation(generation) for batch in value.generations for generation in batch]


def _generation(generation: Any) -> Any:
    message = getattr(generation, "message", None)
    if message is None:
        return generation
    essential = "content", "tool_calls", "invalid_tool_calls", "usage_metadata"
    return generation.text, {name: getattr(message, name) for name in essential}


def live_and_rebuilt(runnable: Any, given: Any, **config: Any) -> tuple[list[dict], list[dict]]:
    """Return what handlers hear of a run of one span, live and from the span."""
    tracing, notes = Tracing(), Notes()
    with contextlib.suppress(ValueError):
        runnable.invoke(given, {"callbacks": [tracing.handler, notes], **config})
    (span,) = tracing.spans
    return list(map(heard, notes.heard)), list(map(heard, rebuilt(span_data_of(span))))


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_chat_model(answer):
    """Messages, calls of tools and usage of a chat model come back."""
    live, again = live_and_rebuilt(model(answer), CONVERSATION, tags=["t"], run_name="asker")

    assert again == live
    assert live[0]["args"] == ([CONVERSATION],)


def test_facts_about_an_answer():
    """What the model said about its answer stands where LangChain has it."""
    tracing = Tracing()
    model(ANSWERS["text"]).invoke("x", tracing.config)

    start, end = rebuilt(span_data_of(tracing.one("chat m-1")))

    assert start.kwargs["invocation_params"]["model"] == "m-1"
    message = end.args[0].generations[0][0].message
    assert (message.id, message.response_metadata) == (
        "resp_1",
        {"id": "resp_1", "model_name": "m-1-0", "finish_reason": "stop"},
    )


def test_completion_model():
    """Prompts, texts and usage of a completion model come back."""
    live, again = live_and_rebuilt(COMPLETION, "1 + 2 =")
    assert again == live

    tracing = Tracing()
    COMPLETION.invoke("1 + 2 =", tracing.config)
    _, end = rebuilt(span_data_of(tracing.one("text_completion")))
    assert end.args[0].llm_output == {
        "model_name": "m-1-0",
        "token_usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


@pytest.mark.parametrize(
    "given", [{"x": 1}, {"x": -1}, {"type": "tool_call", "name": "look", "args": {"x": 1}, "id": "call_1"}]
)
@pytest.mark.newest
def test_tool(given):
    """Arguments, results and errors of a tool come back, with the message to the model if one called it."""
    live, again = live_and_rebuilt(look, given, metadata={"thread_id": "t"})

    assert again == live


@pytest.mark.parametrize(
    "metadata", [{"thread_id": "t"}, {"thread_id": "t", "session_id": "s"}, {"thread_id": "t", "user_id": "u"}]
)
def test_whose_invocation_it_is(metadata):
    """Conversation, session and user come back by LangChain's usual keys."""
    tracing = Tracing()
    Retriever(found=DOCUMENTS).invoke("q", tracing.config | {"metadata": metadata})

    start, _ = rebuilt(span_data_of(tracing.one("retrieval")))

    assert start.kwargs["metadata"] == metadata


@pytest.mark.newest
def test_an_agent_at_the_top_has_its_messages():
    """The messages of an agent come back, and not their text alone, which its span has for lists of traces."""
    tracing = Tracing()
    create_agent(AgentModel(), [look], name="helper").invoke(ASKED, tracing.config)

    start, end = rebuilt(span_data_of(tracing.one("invoke_agent helper")))

    (question,), (answer,) = start.args[1]["messages"], end.args[0]["messages"]
    assert (question.type, question.content, answer.type, answer.content) == ("human", "look", "ai", "three")


def test_retriever():
    """Query and documents of a retriever come back."""
    live, again = live_and_rebuilt(Retriever(found=DOCUMENTS), "q", tags=["t"])

    assert again == live


def test_error_of_a_model():
    """An error comes back with its text and the name of its class."""
    tracing = Tracing()
    with pytest.raises(ValueError, match="no"):
        model(ValueError("no")).invoke("x", tracing.config)

    _, end = rebuilt(span_data_of(tracing.one("chat m-1")))

    assert (end.name, str(end.args[0]), end.args[0].error_type) == ("on_llm_error", "no", "ValueError")


def test_chain_by_its_span():
    """A chain, a prompt and a parser are named as their spans."""
    tracing = Tracing()
    (ChatPromptTemplate.from_template("{x}") | model("3")).invoke({"x": 1}, tracing.config)

    prompt, _ = rebuilt(span_data_of(tracing.one("ChatPromptTemplate")))
    chain, _ = rebuilt(span_data_of(tracing.one("RunnableSequence")))

    described = {"lc": 1, "type": "not_implemented", "id": ["ChatPromptTemplate"], "name": "ChatPromptTemplate"}
    assert (prompt.name, prompt.args[0]) == ("on_chain_start", described)
    assert prompt.kwargs == {"name": "ChatPromptTemplate", "tags": ["seq:step:1"], "metadata": {}, "run_type": "prompt"}
    assert chain.kwargs == {"name": "RunnableSequence", "tags": [], "metadata": {}}


def test_nodes():
    """A node of a graph keeps its place in the metadata."""
    tracing = Tracing()
    graph = straight_graph(one=body(tracing, "inner", lambda _: {"values": []}))
    graph.invoke({"values": []}, tracing.config)

    start, _ = rebuilt(span_data_of(tracing.one("one")))

    assert start.kwargs["metadata"] == {"langgraph_node": "one", "langgraph_step": 1}
    assert start.kwargs["tags"] == ["graph:step:1"]


VALUES = {
    "chat prompt": (Kind.PROMPT, ChatPromptValue(messages=CONVERSATION[:2])),
    "text prompt": (Kind.PROMPT, StringPromptValue(text="hi")),
    "prompt that is none": (Kind.PROMPT, {"messages": ["a"]}),
    "messages in a state": (Kind.CHAIN, {"messages": CONVERSATION, "left": 3}),
    "a message": (Kind.CHAIN, AIMessage("3", id="resp_1", tool_calls=CALLS)),
    "text": (Kind.PARSER, "three"),
    "number": (Kind.CHAIN, 3),
    "data like a message": (Kind.CHAIN, {"type": "human", "content": "x", "age": 3}),
    "data less like one": (Kind.CHAIN, [{"type": "human", "content": {"x": 1}}, {"type": "ai", "content": [1]}]),
}


@pytest.mark.parametrize(("kind", "value"), VALUES.values(), ids=VALUES)
def test_inputs_and_outputs(kind, value):
    """What goes into a chain and comes out of it comes back from JSON, messages and prompts as objects."""
    json = payload.to_json(value)
    span = SpanData("run", {semconv.RUN_TYPE: str(kind), semconv.INPUTS: json, semconv.OUTPUTS: json})

    assert end_event(kind, span).args == (value,)
    if kind is not Kind.PROMPT:
        assert start_event(kind, span).args[1] == value


def test_chunks_come_back_whole():
    """The outputs of a stream come back as whole messages, with their texts."""
    json = payload.to_json([AIMessageChunk("thr"), AIMessageChunk("ee")])

    outputs = end_event(Kind.CHAIN, SpanData("run", {semconv.OUTPUTS: json})).args[0]

    assert outputs == [AIMessage("thr"), AIMessage("ee")]


def test_real_prompts():
    """What real prompt templates make comes back."""
    for template in (
        ChatPromptTemplate.from_messages([("system", "s"), ("user", "{x}")]),
        PromptTemplate.from_template("{x}"),
    ):
        made = template.invoke({"x": "hi"})
        assert end_event(Kind.PROMPT, SpanData("", {semconv.OUTPUTS: payload.to_json(made)})).args == (made,)


def test_run_names():
    """A name that the user gave counts before all others."""
    tracing = Tracing()
    RunnableLambda(lambda x: x).with_config(run_name="mine").invoke(1, tracing.config)
    look.invoke({"x": 1}, {**tracing.config, "run_name": "mine"})

    chain, _ = rebuilt(span_data_of(tracing.one("mine")))
    called, _ = rebuilt(span_data_of(tracing.one("execute_tool look")))

    assert (chain.kwargs["name"], called.kwargs["name"], called.args[0]["name"]) == ("mine", "mine", "look")
