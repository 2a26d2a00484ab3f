"""The examples as processes: what they print, and what arrives of them."""

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.host import Host
from tests.otlp_receivers import HttpReceiver
from tests.waiting import wait_until

pytestmark = [pytest.mark.newest, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parent.parent / "examples"
SECONDS = 120


def run(*command, receiver=None, **variables):
    """Run an example, to the terminal alone unless there is a receiver; return what it prints."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "RUNSPAN_"))}
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint} if receiver is not None else {}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=EXAMPLES,
        env={**plain, "PYTHONWARNINGS": "ignore", **where, **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def named(spans, name):
    (span,) = (each for each in spans if each["name"] == name)
    return span


def names_in(printed):
    """Return the names in the lines of a printed tree."""
    return [re.sub(r"^[│├└─ ]*", "", line).split("  ")[0] for line in printed.splitlines()]


def test_every_example_is_run():
    """Each program and test suite among the examples is run by a test, by its name or as uvicorn's application."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py") if "e2e" not in path.parts)
    names = {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"} | {"test_suite"}
    assert [each for each in names if f'"{each}"' not in tests and f'"{Path(each).stem}:app"' not in tests] == []


def test_agent():
    """The agent prints its answer and the tree of what it did."""
    call = ["chat claude-sonnet-5", "anthropic.messages.create"]
    steps = ["invoke_agent guide", "model", *call, "tools", "execute_tool weather", "model", *call]
    assert names_in(run("agent.py"))[1:] == [*steps, "Yes, take a hat: it is sunny."]


def test_approval(tmp_path):
    """The graph waits in one process and goes on in another, whose trace links to the first."""
    with HttpReceiver() as receiver:
        assert "Order a hat?" in run("approval.py", "ask", str(tmp_path / "db"), receiver=receiver)
        waited = named(receiver.received(), "invoke_workflow order")
        assert "yes" in run("approval.py", "yes", str(tmp_path / "db"), receiver=receiver)
        links = [link.span_id.hex() for *_, span in receiver.spans for link in span.links]
    assert waited["attributes"]["langchain.run.outcome"] == "interrupted"
    assert links == [waited["span_id"]]


def test_streaming_app():
    """A client that reads to the end has a whole trace, one that leaves an ended one with the text so far."""
    with Host("-m", "uvicorn", "streaming_app:app", "--port", "PORT", folder=EXAMPLES) as host:
        host.wait_for_port()
        whole = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
        with contextlib.closing(whole):
            whole.request("GET", "/ask?question=Why")
            assert whole.getresponse().read().decode() == "Because it is so. " * 20
        left = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
        with contextlib.closing(left):
            left.request("GET", "/ask?question=Why")
            with contextlib.closing(left.getresponse()) as response:
                assert response.read(20)
                left.sock.shutdown(socket.SHUT_RDWR)
        host.terminate()
        spans = host.receiver.received()
    chats = sorted((span for span in spans if span["name"] == "chat"), key=lambda span: len(str(span["attributes"])))
    graphs = [span["attributes"].get("langchain.run.outcome") for span in spans if "invoke_workflow" in span["name"]]
    assert sorted(graphs, key=str) == [None, "cancelled"]
    left, whole = chats
    assert left["attributes"]["langchain.run.outcome"] in {"abandoned", "cancelled"}  # LangGraph lets its node go on
    assert "Because" in left["attributes"]["gen_ai.output.messages"]
    assert "langchain.run.outcome" not in whole["attributes"]


def test_worker_queue(tmp_path):
    """What the worker runs is below the run that asked it."""
    command = ("-m", "celery", "--app", "worker_queue", "worker", "--concurrency", "1")
    with Host(*command, folder=EXAMPLES, QUEUE_FOLDER=str(tmp_path)) as host:
        run("worker_queue.py", "Six times seven?", receiver=host.receiver, QUEUE_FOLDER=str(tmp_path))
        wait_until(lambda: not list(tmp_path.glob("*.msg")), SECONDS)
        assert host.terminate() == 0
        spans = host.receiver.received()
    assert named(spans, "answer")["parent_span_id"] == named(spans, "ask")["span_id"]


def test_mcp_tools():
    """What the server of the other process runs is below the tool that asked it."""
    with HttpReceiver() as receiver:
        assert run("mcp_tools.py", receiver=receiver) == "sunny in Oslo\n"
        spans = {span["span_id"]: span for span in receiver.received()}
    above = []
    span = named(spans.values(), "look up")
    while span := spans.get(span["parent_span_id"]):
        above.append(span["name"])
    assert above == ["tools/call weather", "MCP send tools/call weather", "execute_tool weather"]


def test_own_handler():
    """The handler hears a run as it happens, and another one the same from the recording."""
    lines = run("own_handler.py").splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["live"] * 2 + ["recorded"] * 2
    assert [line.partition(": ")[2] for line in lines[:2]] == [line.partition(": ")[2] for line in lines[2:]]
    assert "asked 'What is 1 + 2?'" in lines[0]


def test_anthropic_sdk():
    """The handler hears the call of an SDK that knows nothing of LangChain, and the trace is printed."""
    printed = run("anthropic_sdk.py")
    assert "Chat model ended: 16 in, 9 out\n" in printed
    assert "anthropic.messages.create" in printed


def test_evaluation():
    """What another process judges is below the run."""
    with HttpReceiver() as receiver:
        traceparent = run("evaluation.py", "ask", receiver=receiver).strip()
        run("evaluation.py", traceparent, "up", "Just what I asked for.", receiver=receiver)
        spans = receiver.received()
    (evaluation,) = (span for span in spans if span["name"] != "answer")
    assert evaluation["parent_span_id"] == named(spans, "answer")["span_id"] == traceparent.split("-")[2]
    assert evaluation["attributes"]["gen_ai.evaluation.explanation"] == "Just what I asked for."


def test_test_suite():
    """The tests of the example pass."""
    printed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "test_suite")
    assert "2 passed" in printed
