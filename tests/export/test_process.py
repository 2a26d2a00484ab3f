"""The end of a process, and its children, with processors that nobody shuts down."""

import os
import socket
import subprocess
import sys

import pytest

from runspan.export.spool import read_spool
from tests.export import clients
from tests.otlp_receivers import GrpcReceiver, HttpReceiver
from tests.test_configure import MARGIN_SECONDS, names, run_python

provider = clients.provider  # a fixture
RECEIVERS = {"http/protobuf": HttpReceiver, "grpc": GrpcReceiver}
SEND = """
import gc
from opentelemetry.sdk.trace import TracerProvider
from runspan.export.processor import OtlpSpanProcessor

tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")

def send(name, *arguments, **options):
    processor = OtlpSpanProcessor(*arguments, **options)
    span = tracer.start_span(name)
    processor.on_start(span)
    span.end()
    processor.on_end(span)
    return processor

"""


def run(code, **environment):
    """Run lines of code in a process that can send."""
    return run_python(SEND + code, **environment)


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_the_end_of_the_process_delivers(protocol):
    """What is queued at the end is delivered, also of processors thrown away, and takes no longer than it must."""
    with RECEIVERS[protocol]() as receiver:
        ended = run(
            f"""
kept = [send(f"kept {{n}}", {receiver.endpoint!r}, protocol={protocol!r}) for n in range(10)]
for n in range(10):
    send(f"thrown away {{n}}", {receiver.endpoint!r}, protocol={protocol!r})
gc.collect()
"""
        )
        expected = [f"{name} {n}" for name in ("kept", "thrown away") for n in range(10)]
        assert (names(receiver), ended.stderr) == (sorted(expected), [])
    assert ended.exit_seconds < 2 + MARGIN_SECONDS


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_where_nobody_listens_the_end_is_bounded(protocol):
    """Twenty processors whose endpoint is dead cost one deadline together; what another has is delivered."""
    with RECEIVERS[protocol]() as receiver, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{bound.getsockname()[1]}"
        ended = run(
            f"""
kept = [send(f"lost {{n}}", {dead!r}, protocol={protocol!r}) for n in range(20)]
send("delivered", {receiver.endpoint!r}, protocol={protocol!r})
"""
        )
        assert names(receiver) == ["delivered"]
    assert ended.exit_seconds < 4 + MARGIN_SECONDS
    assert len(ended.stderr) == 20
    assert {line.split(": ")[0] for line in ended.stderr} == {
        f"could not deliver 1 span to {dead}{'/v1/traces' if protocol == 'http/protobuf' else ''}"
    }


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_where_nobody_answers_the_end_is_bounded(protocol):
    """Endpoints that accept and never answer cost no more than the deadline, and take nothing from another."""
    with RECEIVERS[protocol]() as receiver, socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = run(
            f"""
kept = [send("lost", {endpoint!r}, protocol={protocol!r}) for _ in range(20)]
send("delivered", {receiver.endpoint!r}, protocol={protocol!r})
"""
        )
        assert names(receiver) == ["delivered"]
    assert ended.exit_seconds < 4 + MARGIN_SECONDS
    assert len(ended.stderr) == 20


def test_who_configures_shares_the_deadline():
    """Where nobody answers, the end of a process with a handle and other processors takes one deadline, not two."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = run(
            f"""
configure(endpoint={endpoint!r}, exit_timeout=3)
end("configured")
kept = send("tenant", "{endpoint}/tenant")
"""
        )
    assert ended.exit_seconds < 3 + MARGIN_SECONDS
    assert len(ended.stderr) == 2


def test_who_configures_shares_the_workers():
    """The processor of configure and those of tenants all deliver at the end, each in its own time."""
    with HttpReceiver() as receiver:
        ended = run(
            f"""
configure(endpoint={receiver.endpoint!r})
end("configured")
send("tenant", {receiver.endpoint!r})
"""
        )
        assert (names(receiver), ended.stderr) == (["configured", "tenant"], [])
    assert ended.exit_seconds < 2 + MARGIN_SECONDS


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_a_forked_child_starts_afresh(protocol):
    """A child sends its own spans, none of its parent's, also with processors that the parent had used or that had
    spans queued; dropping them in the child harms nobody."""
    with RECEIVERS[protocol]() as receiver:
        ended = run(
            f"""
import multiprocessing

def child():
    global used
    span = tracer.start_span("child, old processor")
    used[0].on_start(span)
    span.end()
    used[0].on_end(span)
    emit(used[0].force_flush(10_000))
    del used
    gc.collect()
    emit(send("child, new processor", {receiver.endpoint!r}, protocol={protocol!r}).force_flush(10_000))

used = [send("before", {receiver.endpoint!r}, protocol={protocol!r}) for _ in range(3)]
emit([each.force_flush(10_000) for each in used])
queued = send("queued in the parent", {receiver.endpoint!r}, protocol={protocol!r})
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
emit([process.exitcode, queued.force_flush(10_000), used[0].force_flush(10_000)])
"""
        )
        assert (ended.emitted, ended.stderr) == ([[True] * 3, True, True, [0, True, True]], [])
        assert names(receiver) == [
            "before",
            "before",
            "before",
            "child, new processor",
            "child, old processor",
            "queued in the parent",
        ]


def test_a_child_forked_while_all_workers_hang_starts_afresh():
    """Workers that hang in the parent are not in the child's way."""
    with HttpReceiver() as receiver, socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = run(
            f"""
import multiprocessing

def child():
    emit(send("child", {receiver.endpoint!r}).force_flush(10_000))

hung = [send("hangs", f"{endpoint}/{{n}}") for n in range(8)]
emit([each.force_flush(10) for each in hung])
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
emit(process.exitcode)
for each in hung:
    each.shutdown(0)
"""
        )
        assert ended.emitted == [[False] * 8, True, 0]
        assert names(receiver) == ["child"]


def test_children_forked_while_an_exporter_is_imported_can_import_it():
    """A fork waits for an import that a worker is about, for in the child nobody would complete it."""
    with HttpReceiver() as receiver:
        ended = run(
            f"""
import multiprocessing

def child():
    emit(send("child", {receiver.endpoint!r}).force_flush(10_000))

first = send("parent", {receiver.endpoint!r})
emit(first.force_flush(1))
for _ in range(3):
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    emit(process.exitcode)
emit(first.force_flush(10_000))
"""
        )
        assert ended.emitted[1:] == [True, 0, True, 0, True, 0, True]
        assert names(receiver) == ["child", "child", "child", "parent"]


def test_forks_while_clients_are_built_hang_nobody():
    """A process that forks goes on, and so do its threads that build clients for further endpoints meanwhile."""
    ended = run(
        """
import threading
from runspan.export.otlp.client import make_client
from runspan.export.otlp.target import OtlpTarget

def build():
    while not over.is_set():
        make_client(OtlpTarget("http/protobuf", "http://127.0.0.1:9")).close()

over = threading.Event()
threads = [threading.Thread(target=build, daemon=True) for _ in range(2)]
for each in threads:
    each.start()
for _ in range(300):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
over.set()
for each in threads:
    each.join(20)
emit([each.is_alive() for each in threads])
""",
        PYTHONWARNINGS="ignore",  # of forks beside threads
    )
    assert (ended.emitted, ended.stderr) == ([[False, False]], [])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_multiprocessing_deliver_at_their_end(method, tmp_path):
    """A child that ends spans and then just ends delivers them, whichever way it was started."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing, sys
from opentelemetry import trace
from runspan import configure

def child(number, endpoint):
    configure(endpoint=endpoint).is_open or sys.exit("closed")
    trace.get_tracer("test").start_span(f"child {number}").end()

if __name__ == "__main__":
    method, endpoint = sys.argv[1:]
    if method == "fork":
        import logging
        logging.disable()  # of the second call of configure, which changes nothing
        configure(endpoint=endpoint)
    start = multiprocessing.get_context(method).Process
    children = [start(target=child, args=(number, endpoint)) for number in range(3)]
    for each in children:
        each.start()
    for each in children:
        each.join()
"""
    )
    with HttpReceiver() as receiver:
        done = subprocess.run(
            [sys.executable, program, method, receiver.endpoint], capture_output=True, text=True, check=True
        )
        assert (names(receiver), done.stderr) == (["child 0", "child 1", "child 2"], "")


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_children_that_configure_themselves_deliver_at_their_end(method, tmp_path):
    """A child that was forked before anything was set up delivers at its end, too."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing, sys

def child(endpoint):
    from opentelemetry import trace
    from runspan import configure
    configure(endpoint=endpoint)
    trace.get_tracer("test").start_span("child").end()

if __name__ == "__main__":
    method, endpoint = sys.argv[1:]
    process = multiprocessing.get_context(method).Process(target=child, args=(endpoint,))
    process.start()
    process.join()
"""
    )
    with HttpReceiver() as receiver:
        command = [sys.executable, program, method, receiver.endpoint]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert (names(receiver), done.stderr) == (["child"], "")


def test_a_credential_provider_that_hangs_delays_nobody_else(provider, tmp_path):
    """While a credential provider waits for its token others deliver, the process may fork, and its end is bounded."""
    provider("hanging:session")
    called = tmp_path / "called"
    (tmp_path / "hanging.py").write_text(
        f"import pathlib, time\ndef session():\n    pathlib.Path({str(called)!r}).touch()\n    time.sleep(3600)\n"
    )
    with HttpReceiver() as receiver:
        ended = run(
            f"""
os.environ["OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER"] = "ours"
hanging = send("lost", {receiver.endpoint!r})
while not os.path.exists({str(called)!r}):
    hanging.force_flush(10)
del os.environ["OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER"]
emit(send("sent", {receiver.endpoint!r}).force_flush(20_000))
if (child := os.fork()) == 0:
    os._exit(0)
emit(os.waitpid(child, 0)[1])
""",
            PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]),
        )
        assert (ended.emitted, names(receiver)) == ([True, 0], ["sent"])
    assert ended.exit_seconds < 4 + MARGIN_SECONDS


def test_who_is_interrupted_at_the_end_leaves_all_on_disk(silent_endpoint, tmp_path):
    """Ctrl-C while the end of the process waits for a receiver ends the waiting; with a spool nothing is lost."""
    ended = run(
        f"""
import signal, sys, threading

kept = [send(f"{{n}}", {silent_endpoint!r}, spool="{tmp_path}/spool/{{n}}".format(n=n)) for n in range(3)]
main = threading.main_thread().ident

def interrupt():
    while not any(each[0].f_code.co_name == "close" for each in traceback.walk_stack(sys._current_frames()[main])):
        time.sleep(0.001)
    while sys._current_frames()[main].f_code.co_name != "acquire":
        time.sleep(0.001)
    signal.pthread_kill(main, signal.SIGINT)

import traceback
threading.Thread(target=interrupt, daemon=True).start()
"""
    )
    assert [len(read_spool(tmp_path / "spool" / str(n))) for n in range(3)] == [1, 1, 1]
    assert ended.stderr[-1] == "KeyboardInterrupt: "


def test_configure_calls_no_credential_provider(provider, tmp_path):
    """One that waits for a network, or fails there, is called when there is something to send, and then once more."""
    provider("failing:session")
    (tmp_path / "failing.py").write_text(
        "import requests\ncalls = []\ndef session():\n    calls.append(1)\n    if len(calls) == 1:\n"
        "        raise ConnectionError('no token')\n    return requests.Session()\n"
    )
    with HttpReceiver() as receiver:
        ended = run(
            f"""
import failing
handle = configure(endpoint={receiver.endpoint!r})
emit(len(failing.calls))
end("a")
while not handle.force_flush(20):
    pass
emit(len(failing.calls))
""",
            OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER="ours",
            PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]),
        )
        assert (ended.emitted, names(receiver)) == ([0, 2], ["a"])
    assert "ConnectionError: no token" in ended.stderr[0]
