"""Servers that fork, children, short scripts: the spans of each process arrive, and none of them hangs at its end."""

import re
import socket
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.e2e.application import Application, run
from tests.e2e.collector import Collector
from tests.e2e.program import ROOT, Program, Server, free_addresses, wait_until

PROTOCOLS = ["grpc", "http/protobuf"]
WORKERS = 4
REQUESTS_EACH = 5
SPANS = 1_500  # fewer than the queue holds
EXIT_TIMEOUT = 1  # seconds
MARGIN_SECONDS = 2
ONE_LINE = (
    "import runspan, opentelemetry.trace as t; runspan.configure(); s = t.get_tracer('x').start_span('one line');"
    " s.end(); c = s.get_span_context(); print(f'span 0 one {c.trace_id:032x} {c.span_id:016x}')"
)


def told(text):
    """Return the spans that processes have told, as process, name, id of the trace and of the span."""
    return re.findall(r"^span (\d+) (\w+) ([0-9a-f]{32}) ([0-9a-f]{16})$", text, re.MULTILINE)


def wait_for_all(jaeger, spans, seconds=15):
    """Wait until these spans are in Jaeger."""

    def missing():
        arrived = jaeger.span_ids({trace_id for _, _, trace_id, _ in spans})
        return Counter(f"{name} of {process}" for process, name, _, span_id in spans if span_id not in arrived)

    wait_until(lambda: not missing(), seconds, lambda: f"not in Jaeger: {dict(missing())} of {len(spans)} spans")


def to(server, protocol):
    """Return the environment of an application that sends there."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint(protocol), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


@contextmanager
def nobody(address):
    """Have nothing listen there."""
    yield


@contextmanager
def silence(address):
    """Have something listen there that takes connections and never answers."""
    host, port = address.split(":")
    with socket.create_server((host, int(port))):
        yield


def end_with_dead_endpoint(folder, **environment):
    """Run an application whose endpoint is dead; return its spans, and what it and its end have said."""
    with Application(folder, "ends.py", SPANS, EXIT_TIMEOUT, **environment) as application:
        assert application.wait() == 0, application.last_words()
        ended_at = time.time()
        printed = application.printed()
    (told_at,) = re.findall(r"^end ([0-9.]+)$", printed, re.MULTILINE)
    seconds = ended_at - float(told_at)
    assert seconds < EXIT_TIMEOUT + MARGIN_SECONDS, f"the end took {seconds:.2f} s, {EXIT_TIMEOUT} s were allowed"
    assert len(told(printed)) == SPANS
    return told(printed), printed


class Gunicorn(Server):
    """Gunicorn with four workers, each of which serves one request at a time."""

    def __init__(self, folder, *, preload, **environment):
        (self.address,) = free_addresses(1)
        super().__init__(
            [
                *(sys.executable, "-m", "gunicorn", "tests.e2e.applications.served:application"),
                *(f"--bind={self.address}", f"--workers={WORKERS}", "--no-control-socket"),
                *(["--preload"] if preload else []),
            ],
            log=folder / "gunicorn.log",
            health=f"http://{self.address}",
            PYTHONPATH=ROOT,
            **environment,
        )

    def wait_for_requests(self):
        """Make requests until each worker has served some, and return how many each has."""
        answered = Counter()

        def is_enough():
            answered.update(self._answers())
            return len(answered) == WORKERS and min(answered.values()) >= REQUESTS_EACH

        wait_until(is_enough, 30, lambda: f"workers answered so often: {dict(answered)}")
        return answered

    def _answers(self):
        """Make as many requests at once as there are workers, and return which processes answered."""
        with ExitStack() as stack:
            connections = [
                stack.enter_context(closing(HTTPConnection(self.address, timeout=30))) for _ in range(WORKERS)
            ]
            for connection in connections:
                connection.request("GET", "/")
            return [connection.getresponse().read().decode() for connection in connections]


@pytest.mark.parametrize("spool", [False, True], ids=["memory", "spool"])
@pytest.mark.parametrize("preload", [False, True], ids=["in-workers", "preload"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_gunicorn_delivers_at_its_end(*, protocol, preload, spool, start, jaeger, collector, tmp_path):
    """Spans of all workers, and of a master that forked them after configure(), arrive when it is stopped."""
    environment = to(collector, protocol) | ({"SPOOL": tmp_path / "spool.db"} if spool else {})
    gunicorn = start(Gunicorn(tmp_path, preload=preload, **environment))
    answered = gunicorn.wait_for_requests()
    assert gunicorn.stop() == 0
    spans = told(gunicorn.last_words(10_000))
    requests = Counter(process for process, name, _, _ in spans if name == "request")
    assert set(requests) == set(answered)
    assert sum(requests.values()) >= sum(answered.values())
    wait_for_all(jaeger, spans)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("way", ["processes", "pool"])
@pytest.mark.parametrize(
    ("method", "where"), [("fork", "parent"), ("fork", "child"), ("spawn", "child"), ("forkserver", "child")]
)
def test_children_deliver_at_their_end(*, method, where, way, protocol, jaeger, collector, tmp_path):
    """Spans of children of multiprocessing arrive though nobody flushes, wherever configure() was called."""
    spans = told(run(tmp_path, "children.py", method, way, where, **to(collector, protocol)))
    names = Counter(name for _, name, _, _ in spans)
    assert names == {"child": 4 if way == "processes" else 20} | ({"parent": 1} if where == "parent" else {})
    wait_for_all(jaeger, spans)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_script_of_one_line_delivers_at_its_end(protocol, jaeger, collector, tmp_path):
    """The span of a script that does nothing for its delivery arrives."""
    script = Program([sys.executable, "-c", ONE_LINE], log=tmp_path / "one-line.log", **to(collector, protocol))
    with script:
        assert script.wait() == 0, script.last_words()
    spans = told(script.last_words())
    assert [name for _, name, _, _ in spans] == ["one"]
    wait_for_all(jaeger, spans)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("death", [nobody, silence])
def test_a_dead_endpoint_costs_the_deadline_at_most(death, protocol, tmp_path):
    """Where nobody answers the process ends in time, and says what is lost."""
    collector = Collector(tmp_path)
    with death(urlsplit(collector.endpoint(protocol)).netloc):
        _, printed = end_with_dead_endpoint(tmp_path, **to(collector, protocol))
    assert re.findall(r"^could not deliver ([0-9,]+) spans .* They are lost\.$", printed, re.MULTILINE) == [
        f"{SPANS:,}"
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("death", [nobody, silence])
def test_what_a_process_could_not_deliver_the_next_one_does(death, protocol, start, jaeger, tmp_path):
    """With a spool a process whose endpoint is dead ends in time, too, and the next one delivers its spans."""
    collector, spool = Collector(tmp_path, JAEGER_OTLP_ENDPOINT=jaeger.otlp), tmp_path / "spool.db"
    with death(urlsplit(collector.endpoint(protocol)).netloc):
        spans, _ = end_with_dead_endpoint(tmp_path, SPOOL=spool, **to(collector, protocol))
    start(collector)
    delivered = run(tmp_path, "only_delivers.py", spool, **to(collector, protocol))
    assert delivered.startswith("True "), delivered
    wait_for_all(jaeger, spans)


@pytest.mark.parametrize("preload", [False, True], ids=["in-workers", "preload"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_gunicorn_could_not_deliver_the_next_process_does(protocol, preload, start, jaeger, tmp_path):
    """Workers whose endpoint is dead share a spool, end in time, and the next process delivers the spans of all."""
    collector, spool = Collector(tmp_path, JAEGER_OTLP_ENDPOINT=jaeger.otlp), tmp_path / "spool.db"
    gunicorn = start(Gunicorn(tmp_path, preload=preload, SPOOL=spool, **to(collector, protocol)))
    gunicorn.wait_for_requests()
    began = time.monotonic()
    assert gunicorn.stop() == 0
    seconds = time.monotonic() - began
    assert seconds < 2 * 4 + MARGIN_SECONDS, f"it took {seconds:.2f} s, workers and master were allowed 4 s each"
    start(collector)
    delivered = run(tmp_path, "only_delivers.py", spool, **to(collector, protocol))
    assert delivered.startswith("True "), delivered
    wait_for_all(jaeger, told(gunicorn.last_words(10_000)))
