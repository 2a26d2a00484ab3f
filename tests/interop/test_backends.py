"""Phoenix and MLflow, given the same traces, show them whole: read back over their APIs."""

import json

import pytest

from tests.interop import invocations
from tests.interop.servers import MLflow, Phoenix

ANTHROPIC = "claude-3-sonnet-20240229"
BACKENDS = [Phoenix, MLflow]
# What each calls a model, and a span that it knows no kind of.
MODEL = {Phoenix: "LLM", MLflow: "CHAT_MODEL"}


@pytest.fixture(params=BACKENDS, ids=lambda kind: kind.__name__)
def backend(request, backends):
    """Give each backend in turn."""
    return backends[request.param]


@pytest.fixture
def shown(backend, sender):
    """Give a function that returns the traces of an invocation as the backend shows them."""
    return lambda invocation: [backend.trace(*sent) for sent in sender.traces(invocation)]


def texts(messages):
    """Return role and text of messages in the conventions' form."""
    return [(each["role"], "".join(part.get("content", "") for part in each["parts"])) for each in messages]


def test_the_seed_chain(backend, sender, tmp_path):
    """The program of the README: the tree with the spans of SDK and HTTP, the question, the answer, its tokens once."""
    trace = backend.trace(sender.seed(backend, tmp_path), 5)
    assert [line.partition(" ")[2] for line in trace.tree()] == [
        "RunnableSequence",
        "ChatPromptTemplate < RunnableSequence",
        f"chat {ANTHROPIC} < RunnableSequence",
        f"anthropic.messages.create < chat {ANTHROPIC}",
        "POST < anthropic.messages.create",
    ]
    kinds = [span.kind for span in trace.spans]
    assert kinds[:3] == ["CHAIN", "CHAIN", MODEL[type(backend)]]
    assert json.loads(trace.root.input) == {"number": "2"}
    assert json.loads(trace.root.output)["content"] == "1 + 2 = 3"
    assert trace.tokens == (16, 9)


def test_an_agent(backend, shown):
    """An agent has its question and answer, its nodes, tools and models their kinds; the sum is that of the models."""
    (trace,) = shown(invocations.agent)
    model = MODEL[type(backend)]
    assert trace.tree() == [
        "AGENT invoke_agent helper",
        "CHAIN model < invoke_agent helper",
        f"{model} chat < model",
        "CHAIN tools < invoke_agent helper",
        "TOOL execute_tool weather < tools",
        "CHAIN model < invoke_agent helper",
        f"{model} chat < model",
    ]
    assert (trace.root.input, trace.root.output) == ("Weather in Paris?", "Sunny!")
    assert trace.one("execute_tool weather").output == "It is sunny in Paris."
    assert trace.tokens == (2000, 100)
    assert not any(span.is_error for span in trace.spans)


def test_whose_it_is(shown):
    """Session and user of the call are those of the trace, in each trace of a conversation."""
    for invocation in (invocations.agent, invocations.approval, invocations.left_stream, invocations.retrieval):
        assert {(trace.session, trace.user) for trace in shown(invocation)} == {("t1", "u1")}


def test_a_graph_that_waits_for_its_user(backend, shown):
    """The trace that was interrupted and the one that resumed it are there, neither of them an error."""
    waiting, resumed = shown(invocations.approval)
    assert waiting.tree() == [
        "CHAIN invoke_workflow approval",
        "CHAIN plan < invoke_workflow approval",
        f"{MODEL[type(backend)]} chat < plan",
        "CHAIN ask < invoke_workflow approval",
    ]
    assert (waiting.root.input, waiting.root.output) == ("What now?", "I would sell.")
    assert resumed.tree() == ["CHAIN invoke_workflow approval", "CHAIN ask < invoke_workflow approval"]
    assert (json.loads(resumed.root.input)["resume"], resumed.root.output) == ("Yes.", "Yes.")
    assert not any(span.is_error for trace in (waiting, resumed) for span in trace.spans)


def test_a_stream(shown):
    """A chain that streamed has its input, the whole answer and its tokens."""
    (trace,) = shown(invocations.stream)
    assert json.loads(trace.root.input) == {"topic": "cats"}
    assert json.loads(trace.root.output)["content"] == "three"
    assert trace.tokens == (1000, 50)


def test_a_stream_that_was_left(shown):
    """Of a stream that was left, the question and what had come are there."""
    (trace,) = shown(invocations.left_stream)
    assert (trace.root.input, trace.root.output, trace.root.is_error) == ("Count.", "th", False)


def test_a_retrieval(shown):
    """A search has its query and all documents, also one that has no id or score."""
    (trace,) = shown(invocations.retrieval)
    assert trace.tree() == ["RETRIEVER retrieval"]
    assert trace.root.input == "weather"
    assert [each["content"] for each in json.loads(trace.root.output)] == ["sunny", "dry"]


def test_a_failure(shown):
    """What failed is an error, from the model up to the root, and nothing else is."""
    (trace,) = shown(invocations.failure)
    assert {span.name: span.is_error for span in trace.spans} == {
        "RunnableSequence": True,
        "ChatPromptTemplate": False,
        "chat": True,
    }


def test_phoenix_reads_the_messages(phoenix, sender):
    """Phoenix has the messages of models and agents one by one, also of those whose model gives no finish reason."""
    ((trace_id, count),) = sender.traces(invocations.agent)
    trace = phoenix.trace(trace_id, count)
    asked, answered = (span.attributes for span in trace.spans if span.name == "chat")
    assert asked["llm.input_messages.0.message.content"] == "Weather in Paris?"
    assert asked["llm.output_messages.0.message.tool_calls.0.tool_call.function.name"] == "weather"
    assert answered["llm.input_messages.2.message.content"] == "It is sunny in Paris."
    assert answered["llm.output_messages.0.message.content"] == "Sunny!"
    assert trace.root.attributes["llm.output_messages.0.message.content"] == "Sunny!"


def test_phoenix_counts_the_cache(phoenix, sender):
    """Tokens from a cache and into it are details of those that went in."""
    ((trace_id, count),) = sender.traces(invocations.stream)
    attributes = phoenix.trace(trace_id, count).one("chat").attributes
    details = "llm.token_count.prompt_details"
    assert (attributes[f"{details}.cache_read"], attributes[f"{details}.cache_write"]) == (300, 600)


def test_mlflow_reads_the_messages(mlflow, sender):
    """MLflow has the messages of models as inputs and outputs, and the arguments of tools."""
    ((trace_id, count),) = sender.traces(invocations.agent)
    trace = mlflow.trace(trace_id, count)
    _, answered = (span for span in trace.spans if span.name == "chat")
    assert texts(json.loads(answered.input))[0] == ("user", "Weather in Paris?")
    assert texts(json.loads(answered.output)) == [("assistant", "Sunny!")]
    assert json.loads(trace.one("execute_tool weather").input) == {"city": "Paris"}


def test_mlflow_counts_the_cache(mlflow, sender):
    """Tokens from a cache and into it are in the usage of a call."""
    ((trace_id, count),) = sender.traces(invocations.stream)
    usage = mlflow.trace(trace_id, count).one("chat").attributes["mlflow.chat.tokenUsage"]
    assert (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (300, 600)
