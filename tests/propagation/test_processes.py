"""One trace across two processes, however they speak to each other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.host import Host
from tests.otlp_receivers import HttpReceiver
from tests.waiting import wait_until

pytestmark = [pytest.mark.newest, pytest.mark.timeout(300)]

PROGRAMS = Path(__file__).parent / "programs"
SECONDS = 120


def run(receiver, *command, given=None, **environment):
    """Run a program that sends its spans to a receiver; return what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=PROGRAMS,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "PYTHONWARNINGS": "ignore", **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def below(spans):
    """Return the spans as pairs of the name of the parent, None at the top of a trace, and its own, sorted."""
    by_id = {span["span_id"]: span for span in spans}
    for span in spans:
        parent = by_id.get(span["parent_span_id"])
        assert parent is not None or not span["parent_span_id"], f"the parent of {span['name']} did not come"
        assert parent is None or parent["trace_id"] == span["trace_id"]
    return sorted((by_id.get(span["parent_span_id"], {}).get("name") or "", span["name"]) for span in spans)


@pytest.fixture
def server():
    with Host("server.py", folder=PROGRAMS) as host:
        host.wait_for_port()
        yield host


def ended(host):
    """End the server and return what came from both."""
    host.terminate()
    return host.receiver.received()


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


# A tool of LangChain's, the request of MCP's client, what its server makes of it, and the chain that the tool runs.
OF_A_CALL = [
    ("", "execute_tool weather"),
    ("execute_tool weather", "MCP send tools/call weather"),
    ("MCP send tools/call weather", "tools/call weather"),
    ("tools/call weather", "looked up"),
]


def test_mcp_over_pipes():
    """A request has W3C's headers unprefixed in its ``_meta``; what a server runs is below the tool that asked."""
    with HttpReceiver() as receiver:
        printed = run(receiver, "mcp_client.py", str(PROGRAMS / "mcp_server.py"))
        pairs = below(receiver.received())
    assert all({"baggage", "traceparent"} <= set(line.split()) for line in printed.splitlines())
    assert [pair for pair in pairs if pair in OF_A_CALL] == sorted(OF_A_CALL * 2)


def test_a_held_session_sends_under_the_tool_that_asked():
    """The HTTP requests of a session, which a task of its own sends, are below the tool whose call they carry."""
    with Host("mcp_server.py", folder=PROGRAMS) as host:
        host.wait_for_port()
        run(host.receiver, "mcp_client.py", f"http://127.0.0.1:{host.port}/mcp")
        pairs = below(ended(host))
    assert [pair for pair in pairs if pair in OF_A_CALL] == sorted(OF_A_CALL * 2)
    assert pairs.count(("MCP send tools/call weather", "POST")) == 2
