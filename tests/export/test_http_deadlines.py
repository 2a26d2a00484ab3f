"""However a receiver dawdles, sending ends in time, and at once when it is asked to."""

import socket
import threading
import time

import pytest

from runspan.export.otlp.result import Retryable, Success
from tests.export import clients
from tests.export.clients import (
    ALL,
    IMPATIENT_SECONDS,
    MARGIN_SECONDS,
    check_close_ends_sending,
    request_of,
    unlike_any_other,
)
from tests.otlp_receivers import HttpReceiver, WireReceiver, read_http_request

certificates, trusted, client_of = clients.certificates, clients.trusted, clients.client_of  # fixtures
TIME_IS_OVER = Retryable("no answer within 0.3 s")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def trickle(wire):
    read_http_request(wire)
    for byte in OK[:-2] + b"X: " + bytes(1000):
        wire.sendall(bytes([byte]))
        time.sleep(0.05)


def trickle_a_body(wire):
    read_http_request(wire)
    wire.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\nRetry-After: 3\r\n\r\n")
    for _ in range(1000):
        wire.sendall(b"x")
        time.sleep(0.05)


def never_read(wire):
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


@pytest.fixture
def uncompressed(monkeypatch):
    """To compress what is to fill all buffers would take longer than the timeout."""
    monkeypatch.setenv(ALL + "COMPRESSION", "none")


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    ("talk", "length", "result"),
    [
        (read_http_request, 1_000, TIME_IS_OVER),
        (trickle, 1_000, TIME_IS_OVER),
        (never_read, 20_000_000, TIME_IS_OVER),  # more than all buffers hold
        (trickle_a_body, 1_000, Retryable("HTTP 503: Busy", 3.0)),
    ],
)
@pytest.mark.usefixtures("uncompressed")
def test_the_timeout_is_for_all_of_it(client_of, trusted, *, talk, length, result, secure):
    """A receiver that is silent, reads nothing or sends a byte now and then takes no longer than the timeout."""
    with WireReceiver(talk, tls=trusted.server_context() if secure else None) as receiver:
        client = client_of(receiver.endpoint, impatient=True)
        began = time.monotonic()
        assert client.send(request_of(unlike_any_other(length))) == result
        assert time.monotonic() - began < IMPATIENT_SECONDS + MARGIN_SECONDS


def test_the_timeout_holds_in_the_handshake(client_of):
    """A receiver that takes connections and does not speak TLS is given up in time."""
    with WireReceiver(lambda wire: wire.recv(1)) as receiver:
        client = client_of(receiver.endpoint.replace("http:", "https:"), impatient=True)
        began = time.monotonic()
        assert client.send(request_of("a")) == TIME_IS_OVER
        assert time.monotonic() - began < IMPATIENT_SECONDS + MARGIN_SECONDS


@pytest.fixture
def deaf_endpoint():
    """An address whose queue of connections is full: further ones get no answer at all."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listening,
        socket.socket() as first,
        socket.socket() as second,
    ):
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def broken_resolver(monkeypatch):
    """Looking up a name takes as long as the test."""
    over, look_up = threading.Event(), socket.getaddrinfo

    def look_up_slowly(*arguments, flags=0, **keywords):
        if not flags:
            over.wait(30)
        return look_up(*arguments, flags=flags, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_slowly)
    yield "http://localhost:4318"
    over.set()


@pytest.mark.parametrize("endpoint", ["deaf_endpoint", "broken_resolver"])
def test_the_timeout_holds_while_connecting(client_of, request, endpoint):
    """Neither a host that does not answer nor a resolver that does not takes longer than the timeout."""
    client = client_of(request.getfixturevalue(endpoint), impatient=True)
    began = time.monotonic()
    assert client.send(request_of("a")) == TIME_IS_OVER
    assert time.monotonic() - began < IMPATIENT_SECONDS + MARGIN_SECONDS


@pytest.mark.parametrize("error", [SystemExit(1), KeyError("host")], ids=["exit", "other"])
def test_a_resolver_of_the_application_that_fails(client_of, monkeypatch, error):
    """A request fails at once, whatever is raised by what the application has put in the place of the resolver."""

    def fail(*_, flags=0, **__):
        raise error

    client = client_of("http://localhost:4318")
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert client.send(request_of("a")) == Retryable("OSError: the look-up of localhost failed")


def test_where_no_thread_starts_a_host_is_looked_up_here(client_of, monkeypatch):
    """As when Python exits: a request arrives all the same."""

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("runspan.export.otlp.transport.start_thread", refuse)
    with HttpReceiver() as receiver:
        assert client_of(receiver.endpoint).send(request_of("a")) == Success()


@pytest.mark.parametrize("endpoint", ["deaf_endpoint", "broken_resolver", "silent_endpoint", "silent_tls"])
def test_close_ends_what_is_being_sent(client_of, request, endpoint):
    """Close does not wait, and a request on its way ends soon, wherever it hangs; afterwards nothing is sent."""
    with WireReceiver(lambda wire: threading.Event().wait(5)) as silent:
        address = {"silent_endpoint": silent.endpoint, "silent_tls": silent.endpoint.replace("http:", "https:")}
        check_close_ends_sending(client_of(address.get(endpoint) or request.getfixturevalue(endpoint)))
