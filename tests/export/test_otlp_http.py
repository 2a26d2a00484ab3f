"""The HTTP client against real servers on loopback."""

import gzip
import socket
from http import HTTPStatus

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from runspan.export.otlp.result import Rejected, Retryable, Success, TooLarge
from tests.export import clients
from tests.export.clients import ALL, request_of
from tests.otlp_receivers import HttpAnswer, HttpReceiver, WireReceiver, read_http_request, reset

client_of = clients.client_of  # a fixture
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
PROTOBUF = "application/x-protobuf"


@pytest.mark.parametrize(
    ("compression", "encoding"), [("", "gzip"), ("gzip", "gzip"), ("deflate",) * 2, ("none", None)]
)
def test_a_request_arrives_as_otlp_says(client_of, monkeypatch, compression, encoding):
    """It is protobuf, compressed as asked for, with the headers of the target and our name."""
    monkeypatch.setenv(ALL + "COMPRESSION", compression)
    with HttpReceiver() as receiver:
        client = client_of(receiver.endpoint, headers={"X-Api-Key": "k", "Content-Type": "text/plain"})
        assert client.send(request_of("a", "b")) == Success()
        assert [span["name"] for span in receiver.received()] == ["a", "b"]
        (headers,) = receiver.headers
        assert receiver.paths == ["/v1/traces"]
        assert headers["user-agent"].startswith("runspan/")
        assert (headers["content-type"], headers.get("content-encoding"), headers["x-api-key"]) == (
            PROTOBUF,
            encoding,
            "k",
        )


def test_our_name_can_be_another(client_of):
    """Some gateways let only known clients pass."""
    with HttpReceiver() as receiver:
        assert client_of(receiver.endpoint, headers={"user-agent": "ours/1"}).send(request_of("a")) == Success()
        assert receiver.headers[0]["user-agent"] == "ours/1"


def test_a_connection_is_kept(client_of):
    """Requests share one connection, also after an answer that is no success."""
    with HttpReceiver() as receiver:
        client = client_of(receiver.endpoint)
        assert client.send(request_of("a")) == Success()
        receiver.refuse(503)
        assert client.send(request_of("b")) == Retryable("HTTP 503: Service Unavailable")
        receiver.accept()
        assert client.send(request_of("c")) == Success()
        assert receiver.connections == 1


def test_no_cookie_is_kept(client_of):
    """What a receiver sets with one answer comes back with no request, neither a tenant's own nor another's."""
    with HttpReceiver() as receiver:
        receiver.refuse(HttpAnswer(200, headers={"Set-Cookie": "session=secret; Path=/"}))
        client, other = client_of(receiver.endpoint), client_of(receiver.endpoint)
        assert client.send(request_of("a")) == Success()
        receiver.accept()
        assert [each.send(request_of("a")) for each in (client, other)] == [Success()] * 2
        assert [headers.get("cookie") for headers in receiver.headers] == [None] * 2


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (HttpAnswer(200), Success()),
        (HttpAnswer(202, b"accepted"), Success()),
        (HttpAnswer(204), Success()),
        (HttpAnswer(200, b"", "text/html"), Success()),
        (HttpAnswer(200, b"taken", "text/html; charset=utf-8"), Success()),
        (
            HttpAnswer(200, b"\n<!doctype html><title>Sign in</title>", "text/html; charset=utf-8"),
            Rejected("HTTP 200 with a page of HTML, which no receiver of OTLP answers; check the endpoint"),
        ),
        (
            HttpAnswer(200, b"\xef\xbb\xbf<html>a page with the mark of UTF-8</html>", "text/html"),
            Rejected("HTTP 200 with a page of HTML, which no receiver of OTLP answers; check the endpoint"),
        ),
        (HttpAnswer(200, b"x" * 200_000, PROTOBUF), Success()),
        (
            HttpAnswer(
                200,
                ExportTraceServiceResponse(
                    partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="too old")
                ).SerializeToString(),
                PROTOBUF,
            ),
            Success(1, "too old"),
        ),
        (
            HttpAnswer(200, b'{"partialSuccess":{"rejectedSpans":"1"}}', "application/json; charset=utf-8"),
            Success(1),
        ),
        (HttpAnswer(429, b"slow down", headers={"Retry-After": "7"}), Retryable("HTTP 429: slow down", 7.0)),
        (HttpAnswer(429, b"slow down", headers={"Retry-After": "never"}), Retryable("HTTP 429: slow down")),
        (HttpAnswer(502), Retryable("HTTP 502: Bad Gateway")),
        (
            HttpAnswer(
                503, Status(message="sending queue is full").SerializeToString(), PROTOBUF, {"Retry-After": "0"}
            ),
            Retryable("HTTP 503: sending queue is full", 0.0),
        ),
        (HttpAnswer(504, b"<html><h1>504</h1>\r\n</html>", "text/html"), Retryable("HTTP 504: 504")),
        (HttpAnswer(413), TooLarge(f"HTTP 413: {HTTPStatus(413).phrase}")),
        (HttpAnswer(413, b"too big, max 5"), TooLarge("HTTP 413: too big, max 5")),
        (HttpAnswer(400, b"http: request body too large"), TooLarge("HTTP 400: http: request body too large")),
        (
            HttpAnswer(500, b'{"code":8,"message":"received message larger than max (9 vs. 8)"}', "application/json"),
            TooLarge("HTTP 500: received message larger than max (9 vs. 8)", 8),
        ),
        (HttpAnswer(401, b"who are you?", headers={"WWW-Authenticate": "Basic"}), Rejected("HTTP 401: who are you?")),
        (HttpAnswer(400, b'{"message":"no tenant"}', "application/json"), Rejected("HTTP 400: no tenant")),
        (HttpAnswer(403, b"body too large a risk"), Rejected("HTTP 403: body too large a risk")),
        (HttpAnswer(404, b"404 page not found\n"), Rejected("HTTP 404: 404 page not found")),
        (HttpAnswer(500), Rejected("HTTP 500: Internal Server Error")),
        (HttpAnswer(501, headers={"Retry-After": "1"}), Rejected("HTTP 501: Not Implemented")),
        *(
            (
                HttpAnswer(status, headers={"Location": location}),
                Rejected(f"HTTP {status}, a redirect{to}, which is not followed; set the endpoint to where it leads"),
            )
            for status, location, to in [
                (301, "https://user:word@b.example/v1/traces?key=secret", " to b.example"),
                (302, "/login", ""),
                (307, "http://[", ""),
                (308, "https://b.example:4318/v1/traces", " to b.example"),
            ]
        ),
        (HttpAnswer(304), Rejected("HTTP 304, a redirect, which is not followed; set the endpoint to where it leads")),
    ],
    ids=lambda value: str(value.status) if isinstance(value, HttpAnswer) else "",
)
def test_each_answer_means_what_otlp_says(client_of, answer, result):
    """429, 502, 503 and 504 may be tried again, when they say; what is too large can be split; a page is no success."""
    with HttpReceiver() as receiver:
        receiver.refuse(answer)
        assert client_of(receiver.endpoint).send(request_of("a", "b")) == result
        assert receiver.attempts == 1


def test_nobody_listens(client_of):
    """What can't be sent because nobody listens may be sent later, and arrives when somebody does."""
    with HttpReceiver() as receiver:
        client = client_of(receiver.endpoint)
    assert client.send(request_of("a")) == Retryable("ConnectionRefusedError: [Errno 111] Connection refused")
    with HttpReceiver(int(receiver.endpoint.rpartition(":")[2])) as receiver:
        assert client.send(request_of("a")) == Success()


def test_a_host_without_address(client_of):
    """A name that nobody knows is a reason to try later: it may be the resolver's fault."""
    answers = [client_of(f"http://{host}").send(request_of("a")) for host in ("nowhere.invalid", "a" * 64 + ".b")]
    unknown, too_long = (answer.reason.partition(":")[0] for answer in answers)
    assert unknown == "gaierror"
    assert too_long in {"UnicodeError", "UnicodeEncodeError"}  # the latter from Python 3.13 on


def answer_with(*parts):
    """Read a request, say this, close."""

    def talk(wire):
        read_http_request(wire)
        for part in parts:
            wire.sendall(part)
        wire.close()

    return talk


def reset_after_reading(wire):
    read_http_request(wire)
    reset(wire)


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (reset_after_reading, "ConnectionResetError: [Errno 104] Connection reset by peer"),
        (answer_with(), "RemoteDisconnected: Remote end closed connection without response"),
        (answer_with(b"SSH-2.0-x\x1b[31m\r\n"), "BadStatusLine: SSH-2.0-x [31m"),
        (answer_with(b"HTTP/1.1 2"), "BadStatusLine: HTTP/1.1 2"),
    ],
)
def test_a_connection_that_breaks_is_a_reason_to_try_later(client_of, talk, reason):
    """Whether the request arrived is not known."""
    with WireReceiver(talk) as receiver:
        assert client_of(receiver.endpoint).send(request_of("a")) == Retryable(reason)
        assert receiver.connections == 1


def test_a_success_whose_body_breaks_off_is_a_success(client_of):
    """The status said enough."""

    def talk(wire):
        read_http_request(wire)
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        reset(wire)

    with WireReceiver(talk) as receiver:
        assert client_of(receiver.endpoint).send(request_of("a")) == Success()


def test_a_body_that_bursts_when_it_is_unpacked_is_not_unpacked(client_of):
    """No more of an answer is taken into memory than it may be worth."""
    answer = HttpAnswer(400, gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"})
    with HttpReceiver() as receiver:
        receiver.refuse(answer)
        assert client_of(receiver.endpoint).send(request_of("a")) == Rejected("HTTP 400: Bad Request")


def test_a_connection_that_died_meanwhile_is_no_failure(client_of):
    """A receiver may close a connection that was idle just when the next request comes: that is sent again at once."""

    def talk(wire):
        read_http_request(wire)
        wire.sendall(OK)
        if receiver.connections == 1:
            read_http_request(wire)
            reset(wire)

    with WireReceiver(talk) as receiver:
        client = client_of(receiver.endpoint)
        assert [client.send(request_of("a")) for _ in range(2)] == [Success()] * 2
        assert receiver.connections == 2


def test_a_kept_connection_that_answered_in_part_is_not_tried_again_at_once(client_of):
    """What was half answered has arrived perhaps."""

    def talk(wire):
        read_http_request(wire)
        wire.sendall(OK)
        read_http_request(wire)
        wire.sendall(b"HTTP/1.1 20")
        wire.close()

    with WireReceiver(talk) as receiver:
        client = client_of(receiver.endpoint)
        assert [client.send(request_of("a")) for _ in range(2)] == [Success(), Retryable("BadStatusLine: HTTP/1.1 20")]
        assert receiver.connections == 1


def test_the_zone_of_an_address_is_looked_up(client_of, monkeypatch):
    """Its percent sign is coded in a URL, but not where the address is looked up."""
    hosts = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: hosts.append(host) or [])
    client_of("http://[fe80::1%25eth0]:4318").send(request_of("a"))
    assert hosts == ["fe80::1%eth0"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_next_address_of_a_host_is_tried(client_of, monkeypatch, host):
    """A host may have addresses at which nobody answers."""
    look_up = socket.getaddrinfo

    def look_up_more(*arguments, **keywords):
        (found, *_) = look_up("127.0.0.1", *arguments[1:], **keywords)
        return [(*found[:4], ("127.0.0.1", 1)), found]

    with HttpReceiver() as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", look_up_more)
        client = client_of(receiver.endpoint.replace("127.0.0.1", host))
        assert client.send(request_of("a")) == Success()
