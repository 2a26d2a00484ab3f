"""The local server as seen by LangChain's ChatAnthropic."""

import functools
import operator

import anthropic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate

from devtools.anthropic_server import Answer, Failure, ToolUse, Usage

# The model of the first example anybody sees.
MODEL = "claude-3-sonnet-20240229"
pytestmark = pytest.mark.filterwarnings("ignore:The model 'claude-3-sonnet-20240229' is deprecated:DeprecationWarning")

QUESTION = "What is 1 + 2?"
USAGE = {
    "input_tokens": 16,
    "output_tokens": 9,
    "total_tokens": 25,
    "input_token_details": {
        "cache_read": 0,
        "cache_creation": 0,
        "ephemeral_5m_input_tokens": 0,
        "ephemeral_1h_input_tokens": 0,
    },
}
# The last event of a stream has no breakdown by lifetime.
STREAMED_USAGE = {**USAGE, "input_token_details": {"cache_read": 0, "cache_creation": 0}}


def chat(server, **options):
    return ChatAnthropic(model=MODEL, base_url=server.url, api_key="test", max_retries=0, **options)


def add_up(chunks):
    return functools.reduce(operator.add, chunks)


def test_invoke(serve):
    """A prompt's answer comes with its usage and what the service says of it."""
    server = serve()
    chain = ChatPromptTemplate.from_template("What is 1 + {number}?") | chat(server)

    answer = chain.invoke({"number": "2"})

    assert answer.content == "1 + 2 = 3"
    assert answer.usage_metadata == USAGE
    assert answer.response_metadata["id"] == "msg_000000000000000000000001"
    assert answer.response_metadata["stop_reason"] == "end_turn"
    assert answer.response_metadata["model_name"] == MODEL
    assert [request.body["messages"] for request in server.requests] == [[{"role": "user", "content": QUESTION}]]


def test_stream(serve):
    """A stream comes word by word, and its sum has the whole usage."""
    chunks = list(chat(serve()).stream(QUESTION))

    assert [chunk.text for chunk in chunks if chunk.text] == ["1", " +", " 2", " =", " 3"]
    assert add_up(chunks).usage_metadata == STREAMED_USAGE
    assert add_up(chunks).response_metadata["stop_reason"] == "end_turn"


async def test_ainvoke_and_astream(serve):
    """The async ways give the same."""
    model = chat(serve())

    answer = await model.ainvoke(QUESTION)
    chunks = [chunk async for chunk in model.astream(QUESTION)]

    assert (answer.content, answer.usage_metadata) == ("1 + 2 = 3", USAGE)
    assert (add_up(chunks).text, add_up(chunks).usage_metadata) == ("1 + 2 = 3", STREAMED_USAGE)


def test_cache_and_reasoning(serve):
    """LangChain counts cached and reasoning tokens from what the server says."""
    usage = Usage(5, 7, cache_read_input_tokens=100, ephemeral_5m_input_tokens=20, thinking_tokens=6)
    model = chat(serve([Answer("3", usage=usage)] * 2))

    answer, chunks = model.invoke(QUESTION), model.stream(QUESTION)

    counts = {"input_tokens": 125, "output_tokens": 7, "total_tokens": 132}
    lifetimes = {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0}
    reasoning = {"output_token_details": {"reasoning": 6}}
    assert answer.usage_metadata == {
        **counts,
        **reasoning,
        "input_token_details": {"cache_read": 100, "cache_creation": 0, **lifetimes},
    }
    assert add_up(chunks).usage_metadata == {
        **counts,
        **reasoning,
        "input_token_details": {"cache_read": 100, "cache_creation": 20},
    }


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_tools(serve):
    """A tool that the model asks for is called, and its result answered, streamed or not."""
    asks = Answer(tool_uses=[ToolUse("add", {"a": 1, "b": 2}, id="toolu_1")])
    model = chat(serve([asks, Answer("3"), asks])).bind_tools([add])

    question = model.invoke(QUESTION)
    answer = model.invoke([HumanMessage(QUESTION), question, ToolMessage("3", tool_call_id="toolu_1")])
    streamed = add_up(model.stream(QUESTION))

    call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "toolu_1", "type": "tool_call"}
    assert question.tool_calls == streamed.tool_calls == [call]
    assert question.response_metadata["stop_reason"] == streamed.response_metadata["stop_reason"] == "tool_use"
    assert answer.content == "3"


def test_thinking(serve):
    """Thinking comes with its signature, streamed or not."""
    model = chat(serve([Answer("3", thinking="One and two.", signature="c2lnbmVk")] * 2))

    answer, streamed = model.invoke(QUESTION), add_up(model.stream(QUESTION, thinking={"type": "adaptive"}))

    thought = {"type": "thinking", "thinking": "One and two.", "signature": "c2lnbmVk"}
    assert answer.content == [thought, {"type": "text", "text": "3"}]
    assert streamed.content == [{**thought, "index": 0}, {"type": "text", "text": "3", "index": 1}]
    assert answer.usage_metadata["output_token_details"] == {"reasoning": 4}


def test_error(serve):
    """An error reaches the caller as the SDK's."""
    with pytest.raises(anthropic.OverloadedError):
        chat(serve([Failure(529)])).invoke(QUESTION)


def test_error_in_mid_stream(serve):
    """A stream that breaks gives its chunks first."""
    stream = chat(serve([Answer("1 + 2", breaks_after=2, breaks_with=Failure(529))])).stream(QUESTION)
    texts = []

    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        texts.extend(chunk.text for chunk in stream if chunk.text)

    assert texts == ["1", " +"]
