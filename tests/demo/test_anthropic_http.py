"""The local server as seen by a plain HTTP client."""

import contextvars
import logging
import socket
import threading

import httpx2
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.anthropic_server import Answer, AnthropicServer, Failure, ReceivedRequest
from tests.demo.asking import FOREVER_S, MODEL, NO_CACHE, SUM
from tests.waiting import wait_until

HEADERS = {"x-api-key": "test", "anthropic-version": "2023-06-01"}


def post(server, body, headers=HEADERS, path="/v1/messages"):
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return httpx2.post(server.url + path, content=content, headers=headers)


def error(kind, message, number=1):
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{number:024}"}


def test_message(serve):
    """A question is answered with a whole message and the service's headers."""
    response = post(serve(), SUM)

    assert response.status_code == 200
    assert dict(response.headers) == {
        "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
        "connection": "close",
        "content-length": "446",
        "content-type": "application/json",
        "request-id": "req_000000000000000000000001",
    }
    assert response.json() == {
        "id": "msg_000000000000000000000001",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "1 + 2 = 3"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {"input_tokens": 16, "output_tokens": 9, **NO_CACHE},
    }


def test_stream(serve):
    """A stream has the service's events in the service's order, and all counts in its message_delta."""
    response = post(serve(), {**SUM, "stream": True})

    frames = [frame.split("\n") for frame in response.text.removesuffix("\n\n").split("\n\n")]
    data = [orjson.loads(line.removeprefix("data: ")) for _, line in frames]
    deltas = [{"type": "text_delta", "text": text} for text in ["1", " +", " 2", " =", " 3"]]
    assert [line for line, _ in frames] == [f"event: {event['type']}" for event in data]
    assert data == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_000000000000000000000001",
                "type": "message",
                "role": "assistant",
                "model": MODEL,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "stop_details": None,
                "usage": {"input_tokens": 16, "output_tokens": 1, **NO_CACHE},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "ping"},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None},
            "usage": {
                "input_tokens": 16,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 9,
            },
        },
        {"type": "message_stop"},
    ]
    assert dict(response.headers) == {
        "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
        "cache-control": "no-cache",
        "connection": "close",
        "content-type": "text/event-stream; charset=utf-8",
        "request-id": "req_000000000000000000000001",
        "transfer-encoding": "chunked",
    }


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 1 + 2?", "1 + 2 = 3"),
        ("-1+0.5", "-1 + 0.5 = -0.5"),
        ([{"type": "text", "text": "Add:"}, {"type": "text", "text": "20 + 22"}], "20 + 22 = 42"),
        ("Who are you?", "I can add two numbers. Ask me what 1 + 2 is."),
        ("9" * 100_000, "I can add two numbers. Ask me what 1 + 2 is."),
        ([], "I can add two numbers. Ask me what 1 + 2 is."),
    ],
)
def test_sums(serve, question, answer):
    """The model adds the first two numbers that the last user message adds, and else says what it can do."""
    messages = [
        {"role": "user", "content": "What is 7 + 7?"},
        {"role": "assistant", "content": "7 + 7 = 14"},
        {"role": "user", "content": question},
    ]

    response = post(serve(), {**SUM, "messages": messages})

    assert response.json()["content"] == [{"type": "text", "text": answer}]


def test_received_requests(serve):
    """What came is kept as it came, the refused too."""
    server = serve()
    post(server, SUM, {"X-Api-Key": "test", "user-agent": "a test"})
    post(server, b"[1]", {"user-agent": "another"}, "/v2?beta=true")

    host = {"host": server.url.removeprefix("http://")}
    common = {
        "accept": "*/*",
        "accept-encoding": httpx2.Client().headers["accept-encoding"],
        "connection": "keep-alive",
    }
    first = {"x-api-key": "test", "user-agent": "a test", "content-length": str(len(orjson.dumps(SUM)))}
    second = {"user-agent": "another", "content-length": "3"}
    assert server.requests == [
        ReceivedRequest("POST", "/v1/messages", host | common | first, SUM),
        ReceivedRequest("POST", "/v2", host | common | second, {}),
    ]


NO_VERSION = {"x-api-key": "test"}
NO_MAX_TOKENS = {"model": MODEL, "messages": SUM["messages"]}
NO_OBJECT = "The request body is not a JSON object, or an empty one"
INVALID = "invalid_request_error"
REFUSALS = {
    "no key": (SUM, {}, 401, error("authentication_error", "x-api-key header is required")),
    "no version": (SUM, NO_VERSION, 400, error(INVALID, "anthropic-version: header is required")),
    "no JSON": (b"{", HEADERS, 400, error(INVALID, NO_OBJECT)),
    "NaN": (orjson.dumps(SUM).replace(b"100", b"NaN"), HEADERS, 400, error(INVALID, NO_OBJECT)),
    "lone surrogate": (orjson.dumps(SUM).replace(b"What", rb"\ud800"), HEADERS, 400, error(INVALID, NO_OBJECT)),
    "no max_tokens": (NO_MAX_TOKENS, HEADERS, 400, error(INVALID, "max_tokens: Field required")),
    "no messages": ({"model": MODEL, "max_tokens": 1}, HEADERS, 400, error(INVALID, "messages: Field required")),
    "empty messages": (
        {**SUM, "messages": []},
        HEADERS,
        400,
        error(INVALID, "messages: List should have at least 1 item after validation, not 0"),
    ),
    "no user message": (
        {**SUM, "messages": [{"role": "assistant", "content": "Hello"}]},
        HEADERS,
        400,
        error(INVALID, 'messages: at least one message must use the "user" role'),
    ),
    "unknown model": ({**SUM, "model": "gpt-4"}, HEADERS, 404, error("not_found_error", "model: gpt-4")),
}


@pytest.mark.parametrize(("body", "headers", "status", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(serve, body, headers, status, expected):
    """A request that the service would refuse is refused in its form."""
    response = post(serve(), body, headers)

    assert (response.status_code, response.json()) == (status, expected)
    assert response.headers["request-id"] == "req_000000000000000000000001"


def test_too_large(serve):
    """A body over the limit is refused."""
    response = post(serve(max_request_bytes=len(orjson.dumps(SUM)) - 1), SUM)

    assert response.status_code == 413
    assert response.json() == error("request_too_large", "Request exceeds the maximum size")


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/", 404, error("not_found_error", "Not Found")),
        ("POST", "/v1/complete", 404, error("not_found_error", "Not Found")),
        ("GET", "/v1/messages", 405, error("invalid_request_error", "Method Not Allowed")),
        ("HEAD", "/nothing", 404, None),
    ],
)
def test_unknown_paths(serve, method, path, status, body):
    """What does not exist is not found, in the same form."""
    response = httpx2.request(method, serve().url + path)

    assert (response.status_code, response.content) == (status, orjson.dumps(body) if body else b"")
    assert response.headers["request-id"] == "req_000000000000000000000001"


def test_any_body(quiet):
    """Whatever the body is, the answer is a message or a client's error, and nothing is logged."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    keys = st.sampled_from([*SUM, "role", "content", "type", "text", "system", "tools", "stream"]) | st.text()
    values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))
    changed = st.dictionaries(st.sampled_from([*SUM, "system", "tools", "stream"]), values).map(lambda new: SUM | new)
    messages = st.fixed_dictionaries({"role": st.just("user"), "content": values}).map(
        lambda message: SUM | {"messages": [message]}
    )

    with AnthropicServer() as server, httpx2.Client(headers=HEADERS) as client:

        @settings(max_examples=60)
        @given(st.binary() | (values | changed | messages).map(encode))
        def check(content):
            response = client.post(server.url + "/v1/messages", content=content)
            assert response.status_code in (200, 400, 404), response.text

        check()


def encode(value):
    """Encode what JSON in UTF-8 can say."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return b""


def test_cut_in_the_body(serve):
    """A message that is to break has a connection that is closed in the middle of its body."""
    server = serve([Answer("1 + 2 = 3", breaks_after=0)])

    with pytest.raises(httpx2.RemoteProtocolError, match="received 223 bytes, expected 446"):
        post(server, SUM)


def test_script_used_up(serve):
    """When a script is over the client is told so, by an error that it does not retry."""
    server = serve([Answer("3")])
    post(server, SUM)

    response = post(server, SUM)

    message = "AnthropicServer has no scripted answer left; give it more in `answers`"
    assert (response.status_code, response.json()) == (400, error("invalid_request_error", message, 2))


def test_script_with_a_fault(serve, caplog):
    """An exception in a script is logged with its traceback, and the client gets a 500."""

    def script(body):
        raise ZeroDivisionError

    assert post(serve(script), SUM).status_code == 500
    assert [(record.levelname, record.exc_info[0]) for record in caplog.records] == [("ERROR", ZeroDivisionError)]


def test_answers_at_the_same_time():
    """One slow answer does not hold up another."""

    def script(body):
        return Answer("slow", delay_s=FOREVER_S) if body.get("stream") else Answer("fast")

    with httpx2.Client(headers=HEADERS) as client, AnthropicServer(script) as server:
        slow = threading.Thread(target=expect_a_break, args=(client, server))
        slow.start()
        wait_until(lambda: server.requests)

        assert post(server, SUM).json()["content"] == [{"type": "text", "text": "fast"}]
    slow.join()


def expect_a_break(client, server):
    with pytest.raises(httpx2.TransportError):
        client.post(server.url + "/v1/messages", json={**SUM, "stream": True})


@pytest.mark.parametrize("answer", [Answer("3", delay_s=FOREVER_S), Failure(529, delay_s=FOREVER_S)])
def test_stop_under_load(caplog, answer):
    """The end of the server ends the answers under way at once, without a word and not as the client's doing."""
    caplog.set_level(logging.INFO, "uvicorn")
    with httpx2.Client(headers=HEADERS, timeout=None) as client, AnthropicServer([answer]) as server:
        waiting = threading.Thread(target=expect_a_break, args=(client, server))
        waiting.start()
        wait_until(lambda: server.requests)
    waiting.join()

    assert server.disconnects == 0
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_after_the_end():
    """After its block a server listens no more and has left no thread."""
    before = set(threading.enumerate())
    with AnthropicServer() as server:
        post(server, SUM)

    with pytest.raises(httpx2.ConnectError):
        post(server, SUM)
    assert set(threading.enumerate()) <= before


def test_context(serve):
    """The server does not serve in the context of who started it."""
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("the caller's")
    server = serve(lambda _: Answer(variable.get()))

    assert post(server, SUM).json()["content"] == [{"type": "text", "text": "default"}]


def test_two_servers(serve):
    """Servers side by side have ports and requests of their own."""
    one, other = serve(), serve()
    post(one, SUM)

    assert one.url != other.url
    assert (len(one.requests), len(other.requests)) == (1, 0)


def test_client_that_leaves_in_its_request(serve, quiet):
    """A client that leaves before its body is complete is counted, and nothing is logged."""
    server = serve()
    with socket.create_connection(tuple(server.url.removeprefix("http://").split(":"))) as client:
        client.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{")

    wait_until(lambda: server.disconnects)
    assert server.requests == []
