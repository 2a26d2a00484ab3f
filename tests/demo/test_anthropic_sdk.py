"""The local server as seen by Anthropic's own SDK."""

import asyncio

import anthropic
import httpx2
import pytest

from devtools.anthropic_server import Answer, Failure, ToolUse, Usage
from tests.demo.asking import FOREVER_S, MODEL, NO_CACHE, SUM
from tests.waiting import wait_until

TOOL = {"name": "add", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
THINK = {"type": "adaptive"}
TOOL_USE = Answer(
    "Let me add.", tool_uses=[ToolUse("add", {"a": 1, "b": [2, "drei"]}), ToolUse("now", id="toolu_mine")]
)
TOOL_USE_CONTENT = [
    {"type": "text", "text": "Let me add."},
    {
        "type": "tool_use",
        "id": "toolu_000000000000000000010000",
        "name": "add",
        "input": {"a": 1, "b": [2, "drei"]},
    },
    {"type": "tool_use", "id": "toolu_mine", "name": "now", "input": {}},
]
THOUGHT = Answer("3", thinking="One and two, that is three.", signature="c2lnbmVk")
THOUGHT_CONTENT = [
    {"type": "thinking", "thinking": "One and two, that is three.", "signature": "c2lnbmVk"},
    {"type": "text", "text": "3"},
]
CACHED = Answer("3", usage=Usage(5, 7, 100, 20, 4))
CACHED_USAGE = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 24,
    "cache_read_input_tokens": 100,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 4},
    "output_tokens": 7,
    "service_tier": "standard",
    "inference_geo": "global",
}


def message(content, stop_reason, input_tokens, output_tokens, thinking_tokens=None):
    details = {} if thinking_tokens is None else {"output_tokens_details": {"thinking_tokens": thinking_tokens}}
    return {
        "id": "msg_000000000000000000000001",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens, **details, **NO_CACHE},
    }


ANSWERS = {
    "text": (Answer("1 + 2 = 3"), message([{"type": "text", "text": "1 + 2 = 3"}], "end_turn", 16, 9)),
    "empty": (Answer(""), message([], "end_turn", 16, 4)),
    "cut short": (
        Answer("1 +", stop_reason="max_tokens"),
        message([{"type": "text", "text": "1 +"}], "max_tokens", 16, 6),
    ),
    "tools": (TOOL_USE, message(TOOL_USE_CONTENT, "tool_use", 16, 41)),
    "thinking": (THOUGHT, message(THOUGHT_CONTENT, "end_turn", 16, 13, 8)),
}


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_create(serve, connect, answer, expected):
    """The SDK reads the whole answer."""
    answered = connect(serve([answer])).messages.create(**SUM)

    assert answered.to_dict() == expected
    assert answered._request_id == "req_000000000000000000000001"


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_stream(serve, connect, answer, expected):
    """The SDK puts the same answer together from its stream."""
    with connect(serve([answer])).messages.stream(**SUM) as stream:
        answered = stream.get_final_message()

    assert without_parsed(answered.to_dict()) == expected
    assert stream.request_id == "req_000000000000000000000001"


def without_parsed(answered):
    """Drop what the SDK's helper adds to text blocks."""
    for block in answered["content"]:
        block.pop("parsed_output", None)
    return answered


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS)
async def test_async(serve, connect_async, answer, expected):
    """The async client gets the same, in one piece and streamed."""
    create, stream = await connect_async(serve([answer])), await connect_async(serve([answer]))

    answered = await create.messages.create(**SUM)
    async with stream.messages.stream(**SUM) as streaming:
        streamed = await streaming.get_final_message()

    assert answered.to_dict() == expected
    assert without_parsed(streamed.to_dict()) == expected


def test_pieces_of_tools(serve, connect):
    """The input of a tool comes as JSON in pieces, the first of them empty."""
    events = list(connect(serve([TOOL_USE])).messages.create(**SUM, stream=True, tools=[TOOL]))

    deltas = [event.delta.to_dict() for event in events if event.type == "content_block_delta" and event.index == 1]
    pieces = ["", '{"a":1,"', 'b":[2,"d', 'rei"]}']
    assert deltas == [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def test_pieces_of_thinking(serve, connect):
    """Thinking comes word by word and ends with its signature."""
    events = list(connect(serve([THOUGHT])).messages.create(**SUM, stream=True, thinking=THINK))

    deltas = [event.delta.to_dict() for event in events if event.type == "content_block_delta" and event.index == 0]
    words = ["One", " and", " two,", " that", " is", " three."]
    assert deltas == [
        *({"type": "thinking_delta", "thinking": word} for word in words),
        {"type": "signature_delta", "signature": "c2lnbmVk"},
    ]


def test_cache(serve, connect):
    """Scripted counts arrive as they are, in the message and at the start and end of a stream."""
    client = connect(serve([CACHED, CACHED]))

    answered = client.messages.create(**SUM)
    start, *_, delta, _stop = client.messages.create(**SUM, stream=True)

    counts = {"input_tokens": 5, "cache_creation_input_tokens": 24, "cache_read_input_tokens": 100, "output_tokens": 7}
    assert answered.usage.to_dict() == CACHED_USAGE
    assert start.message.usage.to_dict() == {**CACHED_USAGE, "output_tokens": 1}
    assert delta.usage.to_dict() == counts


def test_conversation_with_tools(serve, connect):
    """A result of a tool can be sent back, and the tokens grow with the conversation."""
    client = connect(serve([TOOL_USE, Answer("3")]))
    first = client.messages.create(**SUM, tools=[TOOL], system="Add.")
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "3"}
        for block in first.content
        if block.type == "tool_use"
    ]
    messages = [*SUM["messages"], first.to_param(), {"role": "user", "content": results}]

    second = client.messages.create(**{**SUM, "messages": messages}, tools=[TOOL], system="Add.")

    assert second.content[0].text == "3"
    assert 16 < first.usage.input_tokens < second.usage.input_tokens


def test_count_tokens(serve, connect):
    """Tokens are counted as they are for a message."""
    client = connect(serve())

    assert client.messages.count_tokens(model=MODEL, messages=SUM["messages"]).input_tokens == 16


ERRORS = {
    400: (anthropic.BadRequestError, "invalid_request_error", "Invalid request"),
    401: (anthropic.AuthenticationError, "authentication_error", "invalid x-api-key"),
    403: (
        anthropic.PermissionDeniedError,
        "permission_error",
        "Your API key does not have permission to use the specified resource",
    ),
    404: (anthropic.NotFoundError, "not_found_error", "Not Found"),
    413: (anthropic.ContentTooLargeError, "request_too_large", "Request exceeds the maximum size"),
    429: (anthropic.RateLimitError, "rate_limit_error", "This request would exceed your organization's rate limit"),
    500: (anthropic.InternalServerError, "api_error", "Internal server error"),
    503: (anthropic.ServiceUnavailableError, "api_error", "Internal server error"),
    529: (anthropic.OverloadedError, "overloaded_error", "Overloaded"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", ERRORS)
def test_errors(serve, connect, status, stream):
    """Each status is the SDK's error of that name."""
    kind, error_type, text = ERRORS[status]

    with pytest.raises(kind) as raised:
        connect(serve([Failure(status)])).messages.create(**SUM, stream=stream)

    request_id = "req_000000000000000000000001"
    assert type(raised.value) is kind
    assert raised.value.request_id == request_id
    assert raised.value.body == {
        "type": "error",
        "error": {"type": error_type, "message": text},
        "request_id": request_id,
    }


async def test_async_error(serve, connect_async):
    """The async client raises the same errors; a message of one's own stands in them."""
    client = await connect_async(serve([Failure(429, "Number of requests exceeded")]))

    with pytest.raises(anthropic.RateLimitError) as raised:
        await client.messages.create(**SUM)

    assert raised.value.api_message == "Number of requests exceeded"


@pytest.mark.parametrize("status", [429, 500, 529])
def test_retries(serve, connect, status):
    """The SDK retries as often as it was told, after the time that the server says."""
    failure = Failure(status, retry_after_s=0.01)
    server = serve([failure, failure, Answer("3")])

    answered = connect(server, max_retries=2).messages.create(**SUM)

    assert answered.content[0].text == "3"
    assert [request.headers["x-stainless-retry-count"] for request in server.requests] == ["0", "1", "2"]


def test_retry_after(serve, connect):
    """When the retries are used up the last error tells when to come again."""
    server = serve([Failure(429, retry_after_s=0.01), Failure(429, retry_after_s=7)])

    with pytest.raises(anthropic.RateLimitError) as raised:
        connect(server, max_retries=1).messages.create(**SUM)

    headers = raised.value.response.headers
    assert (headers["retry-after"], headers["x-should-retry"]) == ("7", "true")


def test_no_retry(serve, connect):
    """What would fail again is not retried."""
    server = serve([Failure(400), Answer("3")])

    with pytest.raises(anthropic.BadRequestError):
        connect(server, max_retries=2).messages.create(**SUM)

    assert len(server.requests) == 1


def test_error_in_mid_stream(serve, connect):
    """An error event ends the stream after the deltas before it."""
    server = serve([Answer("1 + 2 = 3", breaks_after=2, breaks_with=Failure(529))])
    texts = []

    with pytest.raises(anthropic.APIStatusError) as raised:
        collect_texts(connect(server).messages.create(**SUM, stream=True), texts)

    assert texts == ["1", " +"]
    assert (raised.value.status_code, raised.value.type) == (200, "overloaded_error")


def collect_texts(stream, texts):
    """Append the texts of a stream that will break."""
    texts.extend(event.delta.text for event in stream if event.type == "content_block_delta")


def test_cut_in_mid_stream(serve, connect, quiet):
    """A connection that is closed in mid-stream is the transport's error, of which the server says nothing."""
    server = serve([Answer("1 + 2 = 3", breaks_after=2)])
    texts = []

    with pytest.raises(httpx2.RemoteProtocolError):
        collect_texts(connect(server).messages.create(**SUM, stream=True), texts)

    assert texts == ["1", " +"]
    assert server.disconnects == 0


def test_break_without_a_stream(serve, connect):
    """An answer that breaks breaks when it is not streamed too."""
    client = connect(serve([Answer("3", breaks_after=0, breaks_with=Failure(529)), Answer("3", breaks_after=0)]))

    with pytest.raises(anthropic.OverloadedError):
        client.messages.create(**SUM)
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.create(**SUM)


def test_slow_answer(serve, connect, quiet):
    """A client that has no time leaves, and the server notices."""
    server = serve([Answer("3", delay_s=FOREVER_S)])

    with pytest.raises(anthropic.APITimeoutError):
        connect(server, timeout=0.05).messages.create(**SUM)

    wait_until(lambda: server.disconnects == 1)


def test_stream_left_early(serve, connect, quiet):
    """A stream that its reader closes is noticed, between two chunks."""
    server = serve(lambda _: Answer("1 + 2 = 3", chunk_delay_s=FOREVER_S))

    with connect(server).messages.create(**SUM, stream=True) as stream:
        assert next(stream).type == "message_start"

    wait_until(lambda: server.disconnects == 1)


async def test_cancelled(serve, connect_async, quiet):
    """A cancelled task leaves its stream, which is noticed."""
    server = serve([Answer("1 + 2 = 3", chunk_delay_s=FOREVER_S)])
    client = await connect_async(server)
    begun = asyncio.Event()

    async def read():
        async for _ in await client.messages.create(**SUM, stream=True):
            begun.set()

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    wait_until(lambda: server.disconnects == 1)


async def test_many_at_once(serve, connect_async):
    """Questions asked at once each get their own answer."""
    client = await connect_async(serve())

    async def ask(number):
        messages = [{"role": "user", "content": f"What is 1 + {number}?"}]
        async with client.messages.stream(**{**SUM, "messages": messages}) as stream:
            return await stream.get_final_text()

    answers = await asyncio.gather(*map(ask, range(30)))

    assert answers == [f"1 + {number} = {1 + number}" for number in range(30)]
