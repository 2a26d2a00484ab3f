"""One trace across two processes, however they speak to each other."""

import pytest

from tests.hosts.host import Host
from tests.otlp_receivers import HttpReceiver
from tests.propagation.two_processes import PROGRAMS, SECONDS, below, ended, run
from tests.waiting import wait_until

pytestmark = [pytest.mark.newest, pytest.mark.timeout(300)]


@pytest.fixture
def server():
    with Host("server.py", folder=PROGRAMS) as host:
        host.wait_for_port()
        yield host


def test_http(server):
    """What a server runs for a request is below the run that sent it; what it runs besides is not."""
    for _ in range(2):
        run(server.receiver, "http_client.py", f"http://127.0.0.1:{server.port}/ask")
    assert below(ended(server)) == [("", "apart")] * 2 + [("", "asking")] * 2 + [("asking", "served")] * 2


@pytest.mark.parametrize("way", ["injected", "instrumented"])
def test_remote_graph(server, way):
    """A graph that LangGraph's RemoteGraph calls is below the run that calls it, or below its request."""
    run(server.receiver, "remote_graph.py", f"http://127.0.0.1:{server.port}", way)
    between = [("asking", "POST"), ("POST", "served")] if way == "instrumented" else [("asking", "served")]
    assert below(ended(server)) == sorted([("", "asking"), *between])


def test_remote_runnable():
    """What LangServe runs is below the run whose RemoteRunnable called it, in each way to call."""
    with Host("langserve_server.py", folder=PROGRAMS) as host:
        host.wait_for_port()
        run(host.receiver, "remote_runnable.py", f"http://127.0.0.1:{host.port}/chain")
        spans = ended(host)
    assert [name for above, name in below(spans) if not above] == ["asking"] * 4
    traces = {span["span_id"]: span["trace_id"] for span in spans if span["name"] == "asking"}
    served = [span["trace_id"] for span in spans if span["name"] == "/chain"]
    assert sorted(served.count(trace) for trace in traces.values()) == [2, 2, 4, 4]


def test_messages_of_a_queue():
    """What is made of a message is below the run that sent it; a message without headers begins a trace."""
    with HttpReceiver() as receiver:
        messages = run(receiver, "producer.py")
        assert len(messages.splitlines()) == 3
        run(receiver, "consumer.py", given=messages)
        spans = receiver.received()
    assert below(spans) == sorted(
        [("", "asking"), ("asking", "producing"), ("asking", "producing"), ("", "consumed")]
        + [("producing", "consumed")] * 2
    )


def test_multiprocessing():
    """What a spawned process runs is below the run whose headers it got, what a forked one runs without any."""
    with HttpReceiver() as receiver:
        run(receiver, "spawning.py")
        spans = receiver.received()
    assert below(spans) == [("", "asking"), ("", "asking"), ("asking", "fork"), ("asking", "spawn")]


def test_celery(tmp_path):
    """What a worker runs is below the run that asked for the task."""
    (tmp_path / "control").mkdir()
    command = ("-m", "celery", "--app", "celery_app", "worker", "--concurrency", "1")
    with Host(*command, folder=PROGRAMS, FOLDER=str(tmp_path)) as host:
        run(host.receiver, "celery_client.py", FOLDER=str(tmp_path))
        wait_until(lambda: not list(tmp_path.glob("*.msg")), SECONDS)
        assert host.terminate() == 0
        assert below(host.receiver.received()) == [("", "asking"), ("asking", "worked")]
