"""Names and first attributes of runs."""

from uuid import UUID

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from runspan.payload import (
    Kind,
    Start,
    chain_start,
    model_start,
    origin,
    retriever_start,
    tool_start,
    unknown_start,
)

CHAT = {"lc": 1, "type": "constructor", "id": ["langchain", "chat_models", "anthropic", "ChatAnthropic"]}
TOOL = {"name": "weather", "description": "Tells the weather."}


@pytest.mark.parametrize(
    ("serialized", "run_name", "run_type", "kind", "name"),
    [
        (None, "RunnableSequence", None, Kind.CHAIN, "RunnableSequence"),
        ({"name": "given", "id": ["a", "B"]}, None, None, Kind.CHAIN, "given"),
        ({"id": ["langchain", "prompts", "ChatPromptTemplate"]}, None, "prompt", Kind.PROMPT, "ChatPromptTemplate"),
        ({"id": []}, "", "parser", Kind.PARSER, "parser"),
        (None, None, "other", Kind.CHAIN, "other"),
        (None, None, None, Kind.CHAIN, "chain"),
        (None, "half \ud83d", None, Kind.CHAIN, "half \ufffd"),
    ],
)
def test_a_chain_is_named_as_langchain_names_it(serialized, run_name, run_type, kind, name):
    """A chain has its run's name, else its own, else its class, else its type, and no operation of the conventions."""
    assert chain_start(serialized=serialized, run_name=run_name, run_type=run_type) == Start(
        kind, name, {"langchain.run.type": kind.value, "openinference.span.kind": "CHAIN"}
    )


@pytest.mark.parametrize(
    ("run_name", "metadata", "invocation_params", "name", "attributes"),
    [
        (
            None,
            {"ls_provider": "anthropic", "ls_model_name": "claude"},
            {"model": "claude-sonnet", "max_tokens": 64},
            "chat claude-sonnet",
            {
                "gen_ai.provider.name": "anthropic",
                "gen_ai.request.model": "claude-sonnet",
                "gen_ai.request.max_tokens": 64,
            },
        ),
        (
            "writer",
            {"ls_provider": "azure", "ls_model_name": "gpt-5"},
            {"model": None, "azure_deployment": "d"},
            "chat gpt-5",
            {
                "langchain.run.name": "writer",
                "gen_ai.provider.name": "azure.ai.openai",
                "gen_ai.request.model": "gpt-5",
            },
        ),
        (
            "ChatAnthropic",
            {"ls_provider": "amazon_bedrock"},
            {"model_id": "amazon.nova"},
            "chat amazon.nova",
            {"gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": "amazon.nova"},
        ),
        (None, None, None, "chat", {"gen_ai.provider.name": "anthropic"}),
        (None, {"ls_provider": "MyModel"}, {"model": 5}, "chat", {"gen_ai.provider.name": "mymodel"}),
    ],
)
def test_a_chat_model_is_named_by_its_model(run_name, metadata, invocation_params, name, attributes):
    """A chat model's span is named by the model asked for; what is not known is left out."""
    always = {
        "gen_ai.operation.name": "chat",
        "langchain.run.type": "chat_model",
        "langchain.run.name": "ChatAnthropic",
    }
    start = model_start(
        Kind.CHAT, serialized=CHAT, run_name=run_name, metadata=metadata, invocation_params=invocation_params
    )
    assert start == Start(Kind.CHAT, name, always | attributes)


def test_a_completion_model_is_a_text_completion():
    """A completion model's span is named by the older operation."""
    assert model_start(
        Kind.COMPLETION, metadata={"ls_provider": "openai"}, invocation_params={"model_name": "davinci"}
    ) == Start(
        Kind.COMPLETION,
        "text_completion davinci",
        {
            "gen_ai.operation.name": "text_completion",
            "langchain.run.type": "llm",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "davinci",
        },
    )


@pytest.mark.parametrize(
    ("serialized", "run_name", "call_id", "name", "attributes"),
    [
        (
            TOOL,
            None,
            "call_1",
            "weather",
            {"gen_ai.tool.description": "Tells the weather.", "gen_ai.tool.call.id": "call_1"},
        ),
        (
            TOOL,
            "today",
            None,
            "weather",
            {"gen_ai.tool.description": "Tells the weather.", "langchain.run.name": "today"},
        ),
        ({}, "weather", None, "weather", {}),
        (None, None, None, "tool", {}),
    ],
)
def test_a_tool_is_named_by_itself(serialized, run_name, call_id, name, attributes):
    """A tool's span is named by the tool; a call's id is told only if the model gave one."""
    always = {
        "gen_ai.operation.name": "execute_tool",
        "langchain.run.type": "tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
    }
    assert tool_start(serialized=serialized, run_name=run_name, tool_call_id=call_id) == Start(
        Kind.TOOL, f"execute_tool {name}", always | attributes
    )


def test_a_retriever_tells_its_name_beside():
    """A retriever's span is named by the operation alone; its own name is an attribute."""
    assert retriever_start(run_name="VectorStoreRetriever") == Start(
        Kind.RETRIEVER,
        "retrieval",
        {
            "gen_ai.operation.name": "retrieval",
            "langchain.run.type": "retriever",
            "langchain.run.name": "VectorStoreRetriever",
            "openinference.span.kind": "RETRIEVER",
        },
    )


@pytest.mark.parametrize(
    ("metadata", "attributes"),
    [
        (None, {}),
        ({"thread_id": 1}, {}),
        ({"langgraph_node": "agent", "langgraph_step": 3}, {"langgraph.node": "agent", "langgraph.step": 3}),
        ({"langgraph_node": 5, "langgraph_step": "x"}, {}),
    ],
)
def test_the_origin_is_the_run_and_its_place_in_a_graph(metadata, attributes):
    """Each run tells its id, and node and step if it runs in a graph."""
    run_id = UUID("01234567-89ab-cdef-0123-456789abcdef")
    assert origin(run_id, metadata, None) == {"langchain.run.id": "01234567-89ab-cdef-0123-456789abcdef"} | attributes


def test_tags_are_text():
    """Tags are a list of text that can be exported, whatever was given; no tags, no attribute."""
    run_id = UUID(int=1)
    tagged = origin(run_id, None, ["seq:step:1", 5, "\ud800"])
    assert tagged["langchain.tags"] == ["seq:step:1", "5", "\ufffd"]
    assert origin(run_id, None, []) == origin(run_id, None, None) == {"langchain.run.id": str(run_id)}


class Starts(BaseCallbackHandler):
    """Maps the starts of real runs."""

    raise_error = True

    def __init__(self):
        self.seen = []

    def on_chain_start(self, serialized, inputs, *, name=None, run_type=None, **_):
        self.seen.append(chain_start(serialized=serialized, run_name=name, run_type=run_type))

    def on_chat_model_start(self, serialized, messages, *, name=None, metadata=None, invocation_params=None, **_):
        keywords = {"serialized": serialized, "metadata": metadata, "invocation_params": invocation_params}
        self.seen.append(model_start(Kind.CHAT, run_name=name, **keywords))
        raise InterruptedError  # no service is called here

    def on_tool_start(self, serialized, input_str, *, name=None, tool_call_id=None, **_):
        self.seen.append(tool_start(serialized=serialized, run_name=name, tool_call_id=tool_call_id))

    def on_retriever_start(self, serialized, query, *, name=None, **_):
        self.seen.append(retriever_start(serialized=serialized, run_name=name))


@pytest.mark.newest
def test_real_runs_have_the_expected_names():
    """What LangChain really hands over gives the names that users know."""

    @tool
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(query)]

    starts = Starts()
    config = {"callbacks": [starts]}
    prompt = ChatPromptTemplate.from_template("What is 1 + {number}?")
    chain = prompt | ChatAnthropic(model="claude-sonnet-4-5", api_key="none")
    with pytest.raises(InterruptedError):
        chain.invoke({"number": "2"}, config)
    double.invoke({"name": "double", "args": {"number": 1}, "id": "call_1", "type": "tool_call"}, config)
    Shelf().invoke("a book", config)
    RunnableLambda(len, name="count").invoke("abc", config)
    assert [(start.kind, start.name, start.attributes.get("langchain.run.name")) for start in starts.seen] == [
        ("chain", "RunnableSequence", None),
        ("prompt", "ChatPromptTemplate", None),
        ("chat_model", "chat claude-sonnet-4-5", "ChatAnthropic"),
        ("tool", "execute_tool double", None),
        ("retriever", "retrieval", "Shelf"),
        ("chain", "count", None),
    ]
    assert starts.seen[2].attributes["gen_ai.provider.name"] == "anthropic"
    assert starts.seen[3].attributes["gen_ai.tool.call.id"] == "call_1"


@pytest.mark.parametrize(
    ("kind", "name", "attributes"),
    [
        (Kind.CHAIN, "chain", {"openinference.span.kind": "CHAIN"}),
        (Kind.CHAT, "chat", {"gen_ai.operation.name": "chat"}),
        (Kind.COMPLETION, "text_completion", {"gen_ai.operation.name": "text_completion"}),
        (Kind.TOOL, "execute_tool", {"gen_ai.operation.name": "execute_tool"}),
        (
            Kind.RETRIEVER,
            "retrieval",
            {"gen_ai.operation.name": "retrieval", "openinference.span.kind": "RETRIEVER"},
        ),
    ],
)
def test_a_run_of_which_only_the_kind_is_known(kind, name, attributes):
    """Where nothing can be read of a run, its span has the name of its kind's operation."""
    assert unknown_start(kind) == Start(kind, name, {"langchain.run.type": str(kind), **attributes})
