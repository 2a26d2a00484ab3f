"""``runspan ui`` as a process, on ports of its own."""

import gzip
import http.client
import json
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import grpc
import pytest
from google.protobuf.json_format import MessageToJson, Parse
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from runspan.recording.otlp_json import otlp_line, otlp_request
from tests.programs import run_python
from tests.recorded import TRACE_ID, recorded
from tests.test_zero_code import run as instrumented
from tests.ui import Ui
from tests.viewer.test_commands import in_process, run
from tests.waiting import wait_until


@pytest.fixture
def start(tmp_path):
    """Start the command; it is ended with the test."""
    started = []

    def start(*options):
        started.append(Ui(tmp_path / "traces.sqlite3", *options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture(scope="module")
def shared():
    """Have room for the command that tests share which leave nothing in it; it is ended with the last of them."""
    started = []
    yield started
    for each in started:
        each.stop()


@pytest.fixture
def empty(shared, plain_environment, tmp_path_factory):
    """Return the shared command, which nothing has been sent to that it took."""
    if not shared:
        shared.append(Ui(tmp_path_factory.mktemp("shared") / "traces.sqlite3"))
    return shared[0]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_sdk_sends_its_spans(start, protocol):
    """OpenTelemetry's own exporters deliver over both protocols, and the trace is there to be read."""
    ui = start()
    if protocol == "http":
        exporter = HttpExporter(f"http://127.0.0.1:{ui.port}/v1/traces")
    else:
        exporter = GrpcExporter(f"http://127.0.0.1:{ui.grpc_port}", insecure=True)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("test").start_span("hello").end()
    provider.shutdown()
    (summary,) = ui.summaries()
    assert summary["name"] == "hello"
    status, trace = ui.ask("GET", f"/api/traces/{summary['id']}")
    assert (status, [span["name"] for span in json.loads(trace)["spans"]]) == (200, ["hello"])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_metrics_and_logs_are_answered(empty, protocol):
    """Programs that send all signals log no error: metrics and logs are answered, over both protocols, and not kept."""
    port, name = (empty.port, "http/protobuf") if protocol == "http" else (empty.grpc_port, "grpc")
    code = "from langchain_core.language_models import FakeListChatModel as Model\n"
    code += "Model(responses=['said']).invoke('asked'); logging.getLogger('shop').error('it failed')"
    exporters = dict.fromkeys(["OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"], "otlp")
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_PROTOCOL": name}
    done = instrumented(code, OTEL_TRACES_EXPORTER="none", **exporters, **endpoint)
    assert (done.stdout, done.stderr) == ("ERROR:shop:it failed\n", "")


def points(number):
    """Make a request with so many data points."""
    gauge = Gauge(data_points=[NumberDataPoint(as_int=each) for each in range(number)])
    metrics = [Metric(name="size", gauge=gauge), Metric(name="nothing")]
    return ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=metrics)])]
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_not_kept_is_said(empty, as_json):
    """Who sends metrics or logs is answered how many were not kept, and how to send none."""
    logs = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[LogRecord()] * 3)])])
    rejected = []
    for path, request, response in (
        ("/v1/metrics", points(2), ExportMetricsServiceResponse()),
        ("/v1/logs", logs, ExportLogsServiceResponse()),
    ):
        body = MessageToJson(request) if as_json else request.SerializeToString()
        content_type = "application/json" if as_json else "application/x-protobuf"
        status, answer = empty.ask("POST", path, body, content_type=content_type)
        found = (Parse(answer, response) if as_json else type(response).FromString(answer)).partial_success
        assert (status, "OTEL_LOGS_EXPORTER=none" in found.error_message) == (200, True)
        rejected.append(found.ListFields()[0][1])
        assert empty.ask("POST", path, b"nonsense", content_type=content_type)[0] == 400
    assert rejected == [2, 3]
    assert empty.summaries() == []


def test_a_kill_and_a_new_start_keep_the_traces(start):
    """After kill -9 the next start shows what was taken; OTLP in JSON, and what is packed, are taken too."""
    ui = start()
    assert ui.ask("POST", "/v1/traces", otlp_line(recorded(1)), content_type="application/json") == (200, b"{}")
    packed = gzip.compress(otlp_request([recorded(2, 1)]).SerializeToString())
    headers = {"content_type": "application/x-protobuf", "content_encoding": "gzip"}
    assert ui.ask("POST", "/v1/traces", packed, **headers)[0] == 200
    ui.process.kill()
    ui.process.wait()
    again = start()
    lines = again.ask("GET", f"/api/traces/{TRACE_ID:032x}/otlp")[1]
    assert len(lines.splitlines()) == 2


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"content_type": "text/plain"}, 415),
        (b"{", {"content_type": "application/json"}, 400),
        (b'{"resourceSpans": [{"scopeSpans": 5}]}', {"content_type": "application/json"}, 400),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}',
            {"content_type": "application/json"},
            400,
        ),
        (b"\xff\xff\xff", {"content_type": "application/x-protobuf"}, 400),
        (b"no gzip", {"content_type": "application/x-protobuf", "content_encoding": "gzip"}, 400),
        (
            gzip.compress(b"\0" * 70 * 1024**2),
            {"content_type": "application/x-protobuf", "content_encoding": "gzip"},
            413,
        ),
    ],
    ids=["type", "json", "shape", "ids", "protobuf", "gzip", "bomb"],
)
def test_what_is_no_otlp_is_refused(empty, body, headers, status):
    """A body that is no request of spans is refused with a reason, and the server goes on."""
    found, reason = empty.ask("POST", "/v1/traces", body, **headers)
    assert (found, bool(reason)) == (status, True)
    assert empty.summaries() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:4318"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/traces"), ("GET", "/api/traces"), ("GET", "/")])
def test_other_sites_reach_nothing(empty, headers, method, path):
    """Pages of other sites may neither send spans nor read traces, under whatever name they have led here."""
    assert empty.ask(method, path, content_type="application/json", **headers)[0] == 403


def test_a_further_name_can_be_allowed(start):
    """A name that was given is answered to."""
    ui = start("--allow-host", "traces.example")
    assert ui.ask("GET", "/", host="traces.example:80")[0] == 200


def test_the_page_may_not_be_framed(empty):
    """The headers of page and data keep other sites from framing, reading and guessing at them."""
    for path in ("/", "/api/traces"):
        with closing(http.client.HTTPConnection("127.0.0.1", empty.port, timeout=30)) as connection:
            connection.request("GET", path)
            headers = connection.getresponse().headers
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("protocol", ["HTTP", "gRPC"])
def test_a_port_that_is_taken_has_an_owner(start, tmp_path, protocol):
    """The error names the process that listens there, and the option for another port."""
    ui = start()
    port, grpc_port = (ui.port, 0) if protocol == "HTTP" else (0, ui.grpc_port)
    ports = ["--port", str(port), "--grpc-port", str(grpc_port), "--store", str(tmp_path / "x")]
    done = subprocess.run(
        [sys.executable, "-m", "runspan.cli", "ui", *ports], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"Port {port or grpc_port} is taken by" in done.stderr
    assert f"(process {ui.process.pid})" in done.stderr
    assert ("--grpc-port" in done.stderr) == (protocol == "gRPC")
    assert "docker compose down" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("option", "default"), [("--port", "4318"), ("--grpc-port", "4317"), ("--host", "127.0.0.1")])
def test_it_listens_where_exporters_send_to(option, default):
    """Unless others are named the ports are those of OTLP, on loopback."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", run("ui", "--help", columns=200)[1]).splitlines()
    (line,) = (line for line in lines if f" {option} " in line)
    assert f"[default: {default}]" in line


def test_a_process_of_another_user_has_an_owner():
    """Where the process can't be seen, as that of Docker, which is root's, its user is named."""
    code = """
    import ctypes, pwd, socket
    from runspan.viewer.server.port_owner import port_owner
    mine = socket.create_server(("127.0.0.1", 0))
    ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE: only root can look into this process
    port = mine.getsockname()[1]
    if os.fork() == 0:
        mine.close()
        if os.geteuid() == 0:
            os.setuid(65_534)
        emit(port_owner(port))
        os._exit(0)
    os.wait()
    emit(f"a process of {pwd.getpwuid(os.getuid()).pw_name}")
    """
    found, right = run_python(code).emitted
    assert found == right


def test_an_owner_may_have_any_name_and_close_what_it_has():
    """A name that Linux cut within a letter is shown as far as it can be read, whatever is closed meanwhile."""
    # What lists the descriptors of a process that looks at itself is one of them, and closed then.
    code = """
    import ctypes, socket
    from runspan.viewer.server.port_owner import port_owner
    ctypes.CDLL(None).prctl(15, "приложение".encode())  # PR_SET_NAME
    mine = socket.create_server(("127.0.0.1", 0))
    emit([port_owner(mine.getsockname()[1]), os.getpid()])
    """
    found, process = run_python(code).emitted[0]
    assert found == f"приложе\ufffd (process {process})"


@pytest.mark.parametrize("port", ["port", "grpc_port"])
def test_it_listens_on_loopback_alone(empty, port):
    """No other address of the machine has the ports."""
    with closing(socket.socket()) as elsewhere:
        elsewhere.bind(("127.0.0.2", getattr(empty, port)))  # nobody has it on all addresses


def test_others_reach_it_if_that_is_asked(start):
    """With --host it listens on other addresses of the machine, too, for both protocols."""
    ui = start("--host", "0.0.0.0")  # noqa: S104  that is what is tried
    for port in (ui.port, ui.grpc_port):
        socket.create_connection(("127.0.0.2", port), 30).close()
    assert ui.ask("GET", "/")[0] == 200


def test_the_page_is_opened_if_that_is_asked(start, tmp_path, monkeypatch):
    """With --open the user's browser gets the address."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {shlex.quote(str(tmp_path / "shown"))}\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    ui = start("--open")
    wait_until(lambda: (tmp_path / "shown").exists() and (tmp_path / "shown").read_text() == ui.url)


def test_scripts_list_what_is_there_meanwhile(start, tmp_path):
    """While it runs, ``runspan traces`` in another process finds what has come."""
    ui = start()
    for number, error in ((1, None), (2, "broke")):
        ui.send([recorded(1, name=f"n-{number}", trace_id=number, error=error)])
        done = in_process("traces", "--json", "--store", tmp_path / "traces.sqlite3")
        assert (done.stderr, len(done.stdout.splitlines())) == ("", number)
    (found,) = in_process("traces", "--errors", "--json", "--store", tmp_path / "traces.sqlite3").stdout.splitlines()
    assert json.loads(found)["name"] == "n-2"
    ui.send([recorded(1, trace_id=3)])
    assert len(ui.summaries()) == 3


def test_changes_are_announced(start):
    """Who listens gets the id of a trace as soon as spans of it have come."""
    ui = start()
    connection = http.client.HTTPConnection("127.0.0.1", ui.port, timeout=30)
    with closing(connection):
        connection.request("GET", "/api/news")
        news = connection.getresponse()
        assert news.readline().startswith(b":")
        ui.ask("POST", "/v1/traces", otlp_line(recorded(1)), content_type="application/json")
        found = []
        wait_until(lambda: found.append(news.readline()) or found[-1].startswith(b"data:"))
    assert json.loads(found[-1].removeprefix(b"data: ")) == [f"{TRACE_ID:032x}"]


def test_a_hundred_thousand_spans_in_a_bounded_store(start, tmp_path):
    """Far more spans than there is room for are all taken; the latest traces are there, and the file is bounded."""
    ui = start("--max-bytes", "10000000")
    request = otlp_request([recorded(each, each - 1 or None, start=each) for each in range(1, 1001)])
    spans = [each.scope_spans[0].spans[0] for each in request.resource_spans]
    for trace in range(1, 101):
        for span in spans:
            span.trace_id = trace.to_bytes(16, "big")
            span.start_time_unix_nano += 1_000_000_000
            span.end_time_unix_nano += 1_000_000_000
        body = gzip.compress(request.SerializeToString(), 1)
        headers = {"content_type": "application/x-protobuf", "content_encoding": "gzip"}
        assert ui.ask("POST", "/v1/traces", body, **headers)[0] == 200
    lines = ui.ask("GET", f"/api/traces/{100:032x}/otlp")[1].splitlines()
    assert len(lines) == 1000
    assert ui.ask("GET", f"/api/traces/{1:032x}/otlp")[1] == b""
    assert (tmp_path / "traces.sqlite3").stat().st_size <= 11_000_000


def test_a_store_that_fails_has_exporters_try_again(start, tmp_path):
    """Who sends is answered with what happened and asked to try again, over both protocols; the server goes on."""
    ui = start()
    with closing(sqlite3.connect(tmp_path / "traces.sqlite3")) as other:
        other.execute("DROP TABLE spans")
    status, reason = ui.ask("POST", "/v1/traces", otlp_line(recorded(1)), content_type="application/json")
    assert (status, b"The store of traces failed: no such table: spans." in reason) == (503, True)
    with grpc.insecure_channel(f"127.0.0.1:{ui.grpc_port}") as channel, pytest.raises(grpc.RpcError) as raised:
        TraceServiceStub(channel).Export(otlp_request([recorded(1)]))
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert ui.ask("GET", "/")[0] == 200
