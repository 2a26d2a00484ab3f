"""gunicorn's gevent workers, and a script with gevent: trees are whole, and SIGTERM loses nothing."""

import signal

import pytest

from tests.hosts.host import Host
from tests.otlp_receivers import GrpcReceiver, HttpReceiver

TREE = {
    "request": "",
    "execute_tool search": "request",
    "part 0": "execute_tool search",
    "part 1": "execute_tool search",
}
REQUESTS = 5


def trees(spans):
    """Return for each trace the names of its spans, each with that of its parent."""
    found = {}
    names = {span["span_id"]: span["name"] for span in spans}
    for span in spans:
        found.setdefault(span["trace_id"], {})[span["name"]] = names.get(span["parent_span_id"], "")
    return list(found.values())


# Each two of preload, protocol and spool together.
@pytest.mark.parametrize(
    ("preload", "protocol", "receiver_of", "spool"),
    [
        ((), "http/protobuf", HttpReceiver, False),
        ((), "grpc", GrpcReceiver, True),
        (("--preload",), "http/protobuf", HttpReceiver, True),
        (("--preload",), "grpc", GrpcReceiver, False),
    ],
    ids=["http-memory", "grpc-spool", "preload-http-spool", "preload-grpc-memory"],
)
def test_a_worker_of_gevent_loses_nothing(preload, protocol, receiver_of, spool, tmp_path):
    """gevent patches in the worker, with --preload after we were set up; requests at once are traces of their own."""
    command = ("-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--worker-class", "gevent", *preload, "tools:app")
    environment = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    if spool:
        environment["SPOOL"] = str(tmp_path / "spool")
    with Host(*command, receiver=receiver_of(), **environment) as host:
        host.wait_for_port()
        for answer in [host.get() for _ in range(REQUESTS)]:
            answer.read()
        slow = host.get("/slow")
        assert host.terminate() == 0
        assert slow.read() == b""
        assert trees(host.receiver.received()) == [TREE] * (REQUESTS + 1)


SCRIPT = """
from gevent import monkey; monkey.patch_all()
import gevent
from opentelemetry import trace
from runspan import configure

configure()
trace.get_tracer("host").start_span("ended").end()
print("ready", flush=True)
while True:
    gevent.sleep(0.1)  # gevent overlooks a signal that comes just before it begins to wait, until it has waited
"""


def test_a_script_delivers_while_its_event_loop_waits():
    """The signal is handled in gevent's loop, where no greenlet can be switched to: what has ended is delivered."""
    with Host("-c", SCRIPT) as host:
        assert host.read_line() == "ready"
        assert host.terminate() == -signal.SIGTERM
        assert host.names() == ["ended"]
