import threading

import pytest

from runspan.export.encoding.requests import Request
from runspan.export.otlp import client as module
from runspan.export.otlp.client import OnDemandClient
from runspan.export.otlp.result import Retryable, Success
from tests.otlp_receivers import GrpcReceiver, HttpReceiver
from tests.programs import run_python

REQUEST = Request(b"", 0)
CLOSED = Retryable("closed")


class Fake:
    """Counts what it is asked for; ``gate`` holds it back."""

    def __init__(self):
        self.sent = self.closes = 0
        self.gate, self.called = threading.Event(), threading.Event()
        self.gate.set()

    def send(self, request):
        assert request is REQUEST
        self.called.set()
        self.gate.wait(30)
        self.sent += 1
        return Success()

    def close(self):
        self.closes += 1


class Made:
    """Makes clients and keeps them."""

    def __init__(self):
        self.clients = []

    def __call__(self):
        self.clients.append(Fake())
        return self.clients[-1]

    @property
    def sent(self):
        return [client.sent for client in self.clients]

    @property
    def closes(self):
        return [client.closes for client in self.clients]


@pytest.fixture
def made(monkeypatch):
    """Have a function take the place of a target."""
    monkeypatch.setattr(module, "make_client", lambda make: make())
    return Made()


def test_a_client_is_built_when_it_is_needed_and_once(made):
    """Nothing is built before the first request, and all requests share what it built."""
    client = OnDemandClient(made)
    assert made.clients == []
    assert [client.send(REQUEST), client.send(REQUEST)] == [Success()] * 2
    assert made.sent == [2]


def test_a_client_can_be_built_before(made):
    """What was built ahead is what the first request uses."""
    client = OnDemandClient(made)
    client.build()
    client.send(REQUEST)
    assert made.sent == [1]


def test_a_client_that_is_closed_builds_none(made):
    """After close nothing is sent and nothing new stays open; a second close does nothing."""
    used, unused = OnDemandClient(made), OnDemandClient(made)
    used.send(REQUEST)
    for client in (used, unused, used):
        client.close()
    assert [used.send(REQUEST), unused.send(REQUEST)] == [CLOSED] * 2
    assert (made.sent, made.closes) == ([1], [1])


def test_close_reaches_a_client_in_use(made):
    """A client that sends at this moment is asked to close, once."""
    client = OnDemandClient(made)
    client.build()
    made.clients[0].gate.clear()
    sending = threading.Thread(target=client.send, args=(REQUEST,))
    sending.start()
    assert made.clients[0].called.wait(30)
    client.close()
    assert made.closes == [1]
    made.clients[0].gate.set()
    sending.join()
    assert made.closes == [1]


def test_a_client_that_is_closed_while_it_is_built_is_closed(made):
    """Close may come in the middle of building; what was built is closed and sends nothing."""

    def make():
        client.close()
        return made()

    client = OnDemandClient(make)
    assert client.send(REQUEST) == CLOSED
    assert (made.sent, made.closes) == ([0], [1])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("OTEL_X is wrong."), "ValueError: OTEL_X is wrong."),
        (FileNotFoundError(2, "missing", "ca.pem"), "FileNotFoundError: [Errno 2] missing: 'ca.pem'"),
        (LookupError("of a provider"), "its client could not be built; the log of 'runspan' names why"),
    ],
)
def test_what_cannot_be_built_may_be_sent_later(made, error, reason):
    """What the environment names may be there at the next try; only build, asked for by name, raises."""
    errors = [error, error]

    def make():
        if errors:
            raise errors.pop()
        return made()

    client = OnDemandClient(make)
    with pytest.raises(type(error)):
        client.build()
    assert [client.send(REQUEST), client.send(REQUEST)] == [Retryable(reason), Success()]


@pytest.mark.parametrize(("receiver_class", "protocol"), [(HttpReceiver, "http/protobuf"), (GrpcReceiver, "grpc")])
def test_a_forked_child_has_a_connection_of_its_own(receiver_class, protocol):
    """What parent and child send over one client arrives, in turns and after the child is gone."""
    with receiver_class() as receiver:
        ended = run_python(
            f"""
            import os, warnings
            from runspan.export.otlp.client import OnDemandClient
            from runspan.export.otlp.target import resolve_target
            from tests.export.clients import request_of

            warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of forks while threads run
            client = OnDemandClient(resolve_target(endpoint="{receiver.endpoint}", protocol="{protocol}"))
            answers = [str(client.send(request_of("parent")))]
            child = os.fork()
            if not child:
                client.send(request_of("child"))
                client.close()
                os._exit(0)
            os.waitpid(child, 0)
            answers.append(str(client.send(request_of("parent again"))))
            emit(answers)
            """
        )
        assert ended.emitted == [["Success(rejected=0, reason='')"] * 2]
        assert [span["name"] for span in receiver.received()] == ["parent", "child", "parent again"]
