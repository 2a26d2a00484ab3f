"""Spans of the GenAI conventions, written by hand."""

import json
from types import MappingProxyType

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from runspan.callback_event import Event
from runspan.payload import Kind
from runspan.rebuild import end_event, kind_of, start_event
from tests.rebuild.span_events import rebuilt, span_data

KINDS = {
    "chat": Kind.CHAT,
    "generate_content": Kind.CHAT,
    "text_completion": Kind.COMPLETION,
    "execute_tool": Kind.TOOL,
    "retrieval": Kind.RETRIEVER,
    "invoke_agent": Kind.CHAIN,
    "invoke_workflow": Kind.CHAIN,
    "plan": Kind.CHAIN,
    "create_agent": None,
    "embeddings": None,
    "fetch_response": None,
    "search_memory": None,
    "": None,
}
INPUT = [
    {"role": "system", "parts": [{"type": "text", "content": "Add."}]},
    {"role": "user", "name": "Ann", "parts": [{"type": "text", "content": "1 + 2?"}]},
    {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "A sum."},
            {"type": "text", "content": "Let me see."},
            {"type": "tool_call", "id": "call_1", "name": "add", "arguments": {"a": 1}},
        ],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "3"}]},
]
ASKED = [
    SystemMessage("Add."),
    HumanMessage("1 + 2?", name="Ann"),
    AIMessage(
        [{"type": "reasoning", "reasoning": "A sum."}, {"type": "text", "text": "Let me see."}],
        tool_calls=[{"name": "add", "args": {"a": 1}, "id": "call_1"}],
    ),
    ToolMessage("3", tool_call_id="call_1"),
]
CHAT = {
    "gen_ai__operation__name": "chat",
    "gen_ai__provider__name": "openai",
    "gen_ai__request__model": "gpt-5",
    "gen_ai__request__temperature": 0.5,
    "gen_ai__request__max_tokens": 100,
    "gen_ai__request__stop_sequences": ("END",),
    "gen_ai__request__choice__count": 2,
    "gen_ai__request__stream": True,
    "gen_ai__conversation__id": "thread-7",
}


@pytest.mark.parametrize(("operation", "kind"), KINDS.items())
def test_kinds(operation, kind):
    """The operation says what a span is; what has no callbacks is nothing."""
    assert kind_of(span_data(gen_ai__operation__name=operation)) is kind


def test_other_spans():
    """Spans of HTTP and databases are nothing."""
    assert kind_of(span_data("POST", http__request__method="POST", url__full="http://localhost/")) is None
    assert kind_of(span_data("SELECT", db__system__name="postgresql")) is None


def frozen(value):
    """Return a value as OpenTelemetry keeps structured attributes."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("form", [json.dumps, frozen], ids=["json", "structured"])
def test_chat(form):
    """A call of a chat model, its messages as JSON or structured, is told in LangChain's words and objects."""
    output = [
        {"role": "assistant", "parts": [{"type": "text", "content": "3"}], "finish_reason": "stop"},
        {"role": "assistant", "parts": [{"type": "text", "content": "thr"}], "finish_reason": "length"},
    ]
    span = span_data(
        "chat gpt-5",
        **CHAT,
        gen_ai__input__messages=form(INPUT),
        gen_ai__output__messages=form(output),
        gen_ai__response__id="resp_1",
        gen_ai__response__model="gpt-5-0601",
        gen_ai__response__finish_reasons=("stop", "length"),
        gen_ai__usage__input_tokens=30,
        gen_ai__usage__output_tokens=12,
        gen_ai__usage__cache_read__input_tokens=20,
        gen_ai__usage__cache_write__input_tokens=5,
        gen_ai__usage__reasoning__output_tokens=8,
    )
    sent = {"model": "gpt-5", "temperature": 0.5, "max_tokens": 100, "n": 2, "stop": ["END"], "stream": True}
    usage = {
        "input_tokens": 30,
        "output_tokens": 12,
        "total_tokens": 42,
        "input_token_details": {"cache_read": 20, "cache_creation": 5},
        "output_token_details": {"reasoning": 8},
    }

    start, end = rebuilt(span)

    assert start == Event(
        "on_chat_model_start",
        ({"lc": 1, "type": "not_implemented", "id": ["gpt-5"], "name": "gpt-5"}, [ASKED]),
        {
            "name": None,
            "tags": [],
            "metadata": {
                "thread_id": "thread-7",
                "ls_provider": "openai",
                "ls_model_name": "gpt-5",
                "ls_model_type": "chat",
                "ls_temperature": 0.5,
                "ls_max_tokens": 100,
                "ls_stop": ["END"],
            },
            "invocation_params": sent,
            "options": {"stop": ["END"]},
            "batch_size": 1,
        },
    )
    about = {"id": "resp_1", "model_name": "gpt-5-0601"}
    first = AIMessage("3", id="resp_1", response_metadata={**about, "finish_reason": "stop"}, usage_metadata=usage)
    second = AIMessage("thr", id="resp_1", response_metadata={**about, "finish_reason": "length"})
    counts = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
    assert end == Event(
        "on_llm_end",
        (
            LLMResult(
                generations=[[ChatGeneration(message=first), ChatGeneration(message=second)]],
                llm_output={**about, "token_usage": counts},
            ),
        ),
        {"tags": []},
    )


def test_nothing_said():
    """Of what a span does not say nothing is invented: no messages to the model, an empty one from it."""
    start, end = rebuilt(span_data("chat", gen_ai__operation__name="chat"))

    assert start.args == ({"lc": 1, "type": "not_implemented", "id": ["chat"], "name": "chat"}, [[]])
    assert start.kwargs["metadata"] == {"ls_model_type": "chat"}
    assert end.args == (LLMResult(generations=[[ChatGeneration(message=AIMessage(""))]], llm_output={}),)


def test_usage_in_part():
    """A message has a usage only if both counts are known, for a sum of one count would be invented."""
    _, end = rebuilt(span_data(gen_ai__operation__name="chat", gen_ai__usage__input_tokens=3))

    assert end.args[0].generations[0][0].message.usage_metadata is None
    assert end.args[0].llm_output == {"token_usage": {"prompt_tokens": 3}}


def test_completion():
    """A call of a completion model has prompts and generations of text."""
    start, end = rebuilt(
        span_data(
            gen_ai__operation__name="text_completion",
            gen_ai__input__messages=json.dumps([{"role": "user", "parts": [{"type": "text", "content": "1 + 2 ="}]}]),
            gen_ai__output__messages=json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": " 3"}], "finish_reason": "stop"}]
            ),
        )
    )

    assert (start.name, start.args[1], start.kwargs["metadata"]) == (
        "on_llm_start",
        ["1 + 2 ="],
        {"ls_model_type": "llm"},
    )
    assert end.args == (
        LLMResult(generations=[[Generation(text=" 3", generation_info={"finish_reason": "stop"})]], llm_output={}),
    )


TOOL = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": "add", "gen_ai__tool__description": "Adds."}


def test_tool():
    """A tool has arguments as object and as text, and returns what the span holds."""
    start, end = rebuilt(
        span_data(
            "execute_tool add", **TOOL, gen_ai__tool__call__arguments='{"a": 1}', gen_ai__tool__call__result='{"b":2}'
        )
    )

    described = {"lc": 1, "type": "not_implemented", "id": ["add"], "name": "add", "description": "Adds."}
    assert start == Event(
        "on_tool_start",
        (described, "{'a': 1}"),
        {"name": "add", "tags": [], "metadata": {}, "inputs": {"a": 1}, "tool_call_id": None},
    )
    assert end == Event("on_tool_end", ({"b": 2},), {"tags": [], "name": "add"})


def test_tool_that_a_model_called():
    """With the id of a call the result is the message to the model, its text as it was."""
    span = span_data(
        **TOOL,
        gen_ai__tool__call__id="call_1",
        gen_ai__tool__call__arguments={"a": 1},
        gen_ai__tool__call__result='{"b": 2}',
    )

    start, end = rebuilt(span)

    assert start.kwargs["tool_call_id"] == "call_1"
    assert start.kwargs["inputs"] == {"a": 1}
    assert end.args == (ToolMessage('{"b": 2}', tool_call_id="call_1", name="add"),)


@pytest.mark.parametrize(
    ("result", "output"),
    [("3", "3"), ('[{"name":"a"}]', [{"name": "a"}]), ({"b": 2}, {"b": 2}), (4, 4), (None, ""), ("{", "{")],
)
def test_results_of_tools(result, output):
    """A result that is a JSON object or list is one again; a text stays a text, also one of digits."""
    assert end_event(Kind.TOOL, span_data(**TOOL, gen_ai__tool__call__result=result)).args == (output,)


def test_arguments_that_are_a_text():
    """Arguments that are no object are told as the text that they are."""
    start = start_event(Kind.TOOL, span_data(**TOOL, gen_ai__tool__call__arguments="what?"))

    assert (start.args[1], start.kwargs["inputs"]) == ("what?", None)


def test_retriever():
    """Documents have the content, id and metadata that the span knows, and the score among the metadata."""
    found = [
        {"id": "a", "score": 0.5, "content": "A", "metadata": {"source": "s"}, "title": "T"},
        {"id": 7, "score": 0.5, "content": "B", "metadata": {"relevance_score": 0.5}},
        {"id": None},
    ]
    start, end = rebuilt(
        span_data(
            "retrieval kb",
            gen_ai__operation__name="retrieval",
            gen_ai__retrieval__query__text="42",
            gen_ai__retrieval__documents=json.dumps(found),
        )
    )

    described = {"lc": 1, "type": "not_implemented", "id": ["retrieval kb"], "name": "retrieval kb"}
    assert start == Event("on_retriever_start", (described, "42"), {"name": "retrieval kb", "tags": [], "metadata": {}})
    assert end == Event(
        "on_retriever_end",
        (
            [
                Document("A", id="a", metadata={"source": "s", "title": "T", "score": 0.5}),
                Document("B", id="7", metadata={"relevance_score": 0.5}),
                Document(""),
            ],
        ),
        {"tags": []},
    )


def test_agent():
    """An agent is a chain by its own name, with messages for inputs and outputs."""
    start, end = rebuilt(
        span_data(
            "invoke_agent Anna",
            gen_ai__operation__name="invoke_agent",
            gen_ai__agent__name="Anna",
            gen_ai__conversation__id="t",
            gen_ai__input__messages=json.dumps(INPUT),
            gen_ai__output__messages=json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "3"}]}]),
        )
    )

    described = {"lc": 1, "type": "not_implemented", "id": ["Anna"], "name": "Anna"}
    assert start == Event(
        "on_chain_start",
        (described, {"messages": ASKED}),
        {"name": "Anna", "tags": [], "metadata": {"thread_id": "t"}},
    )
    assert end == Event("on_chain_end", ({"messages": [AIMessage("3")]},), {"tags": []})


def test_workflow_of_which_nothing_is_said():
    """A workflow without content is a chain with empty inputs and outputs, by the span's name."""
    start, end = rebuilt(span_data("invoke_workflow", gen_ai__operation__name="invoke_workflow"))

    assert (start.args[0]["name"], start.kwargs["name"], start.args[1]) == ("invoke_workflow", "invoke_workflow", {})
    assert end.args == ({},)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [("aws.bedrock", "amazon_bedrock"), ("azure.ai.openai", "azure"), ("Anthropic", "anthropic"), ("ollama", "ollama")],
)
def test_providers(provider, expected):
    """Providers go by the names of LangChain's packages."""
    start = start_event(Kind.CHAT, span_data(gen_ai__provider__name=provider))

    assert start.kwargs["metadata"]["ls_provider"] == expected
