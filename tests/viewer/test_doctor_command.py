"""``runspan doctor`` as a process, against receivers of every kind."""

import platform
import re
import ssl
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import grpc
import pytest
import trustme

import runspan
from tests.export import clients
from tests.otlp_receivers import GrpcReceiver, HttpAnswer, HttpReceiver, WireReceiver
from tests.programs import run_python
from tests.ui import free_port
from tests.viewer.test_commands import in_process

certificates = clients.certificates  # a fixture


def doctor(*arguments, **environment):
    """Return the exit code and what was printed; there is no traceback."""
    done = in_process("doctor", *arguments, **environment)
    assert done.stderr == ""
    return done.returncode, done.stdout


def examined(*arguments, **environment):
    """Return the exit code, and the lines from the first word about the endpoint on."""
    code, output = doctor(*arguments, **environment)
    lines = output.splitlines()
    return code, lines[next(at for at, line in enumerate(lines) if "sending one span" in line) :]


@pytest.mark.parametrize("receiver_class", [HttpReceiver, GrpcReceiver])
def test_a_good_endpoint(receiver_class):
    """The endpoint gets one span, which is announced and named so."""
    protocol = "grpc" if receiver_class is GrpcReceiver else "http/protobuf"
    with receiver_class() as receiver:
        code, lines = examined("--endpoint", receiver.endpoint, "--protocol", protocol)
        assert [span["name"] for span in receiver.received()] == ["runspan doctor"]
    assert code == 0
    assert lines[1] == "✓ it took the span"


@pytest.mark.parametrize("receiver_class", [HttpReceiver, GrpcReceiver])
def test_the_wrong_protocol_is_recognized(receiver_class):
    """If the port speaks the other protocol, the doctor says so and how to set it."""
    right, wrong = ("grpc", "http/protobuf") if receiver_class is GrpcReceiver else ("http/protobuf", "grpc")
    with receiver_class() as receiver:
        url = receiver.endpoint if "//" in receiver.endpoint else f"http://{receiver.endpoint}"
        code, lines = examined("--endpoint", url, "--protocol", wrong)
    assert code == 1
    assert f"✕ the same port does take spans by {right}" in lines
    assert f"  → set OTEL_EXPORTER_OTLP_PROTOCOL={right}" in lines


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_nothing_listens(protocol):
    """A refused connection is said to be one, with what could be started."""
    code, lines = examined("--endpoint", f"http://127.0.0.1:{free_port()}", "--protocol", protocol)
    assert code == 1
    assert "refused" in lines[1].lower()
    assert "runspan ui" in lines[2]


@pytest.mark.parametrize(
    ("receiver_class", "protocol", "status"),
    [(HttpReceiver, "http/protobuf", 401), (GrpcReceiver, "grpc", grpc.StatusCode.UNAUTHENTICATED)],
)
def test_a_key_is_missing(receiver_class, protocol, status):
    """Who asks for a key is named, with the variable for it."""
    with receiver_class() as receiver:
        receiver.refuse(status)
        code, lines = examined("--endpoint", receiver.endpoint, "--protocol", protocol)
    assert code == 1
    assert lines[1].startswith("✕ it did not take the span: ")
    assert lines[2] == "  → give the key that this backend wants: OTEL_EXPORTER_OTLP_HEADERS=name=value"


def test_a_path_that_nobody_serves():
    """A 404 leads to the path of the endpoint."""
    with HttpReceiver() as receiver:
        receiver.refuse(404)
        code, lines = examined("--endpoint", f"{receiver.endpoint}/traces")
    assert code == 1
    assert "404" in lines[1]
    assert lines[2].startswith("  → check port and path")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 501 Not Implemented\r\n\r\n"])
def test_a_port_of_something_else(greeting, protocol):
    """What answers with neither protocol is said to do so, with what to check."""
    with WireReceiver(lambda connection: connection.sendall(greeting)) as receiver:
        code, lines = examined("--endpoint", f"http://127.0.0.1:{receiver.port}", "--protocol", protocol)
    assert code == 1
    assert lines[1].startswith("✕ it did not take the span")
    assert re.match("  → (what listens there speaks something else; check the port|check port and path)", lines[2])


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_no_tls_where_it_is_spoken(protocol):
    """An endpoint with https:// for what speaks no TLS is named as that."""
    with HttpReceiver() if protocol == "http/protobuf" else GrpcReceiver() as receiver:
        address = receiver.endpoint.removeprefix("http://")
        lines = examined("--endpoint", f"https://{address}", "--protocol", protocol)[1]
    assert lines[2] == "  → if what listens there speaks no TLS, begin the endpoint with http://"


@pytest.mark.parametrize(
    ("scheme", "remedy"),
    [
        (
            "http",
            (
                "  → if it wants TLS, begin the endpoint with https://, if a certificate of its clients, set"
                " OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE; otherwise check the port and the protocol"
            ),
        ),
        ("https", "  → set OTEL_EXPORTER_OTLP_CERTIFICATE to the file with the authority that issued the certificate"),
    ],
)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_tls_that_is_not_set_up(protocol, scheme, remedy):
    """Of a receiver with TLS it is named that it wants it, or that its certificate is not trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with HttpReceiver(tls=context) as receiver:
        address = receiver.endpoint.removeprefix("https://")
        lines = examined("--endpoint", f"{scheme}://{address}", "--protocol", protocol)[1]
    assert lines[2] == remedy


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_certificate_that_is_too_old_or_another_hosts(protocol, tmp_path):
    """To trust another authority does not help against these: the remedy is what does."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    passed = datetime.now(UTC) - timedelta(days=1)
    for certificate, remedy in (
        (authority.issue_cert("127.0.0.1", not_after=passed), "  → have it renewed, or set the clock of this host"),
        (authority.issue_cert("other.example"), "  → begin the endpoint with a name that is in the certificate"),
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2"])  # gRPC looks at it before the name
        certificate.configure_cert(context)
        with WireReceiver(lambda wire: wire.recv(1), tls=context) as receiver:
            named = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "authority.pem")}
            lines = examined("--endpoint", receiver.endpoint, "--protocol", protocol, **named)[1]
        assert lines[1].startswith("✕ it did not take the span: the certificate of the receiver is not trusted (")
        assert "OTEL_EXPORTER_OTLP_CERTIFICATE" not in lines[1]
        assert lines[2] == remedy


@pytest.mark.parametrize("is_missing", [True, False])
def test_the_certificate_of_the_client_is_missing_or_not_trusted(certificates, tmp_path, is_missing):
    """A receiver that asks who its clients are says so in TLS; the remedy names the variables."""
    context = certificates.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority)
    named = {"OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.authority}
    if not is_missing:
        named["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = clients.Certificates(tmp_path).client_with_key
    with HttpReceiver(tls=context) as receiver:
        lines = examined("--endpoint", receiver.endpoint, **named)[1]
    assert lines[2].startswith("  → if it wants to know its clients, set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_what_the_environment_names_and_is_not_there(protocol, tmp_path):
    """A certificate or a credential provider that is missing is named by its variable, as where spans are sent."""
    provider = f"OTEL_PYTHON_EXPORTER_OTLP_{'HTTP' if protocol == 'http/protobuf' else 'GRPC'}_CREDENTIAL_PROVIDER"
    for name, value in (("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "missing.pem")), (provider, "missing")):
        code, lines = examined("--endpoint", "https://127.0.0.1:1", "--protocol", protocol, **{name: value})
        assert code == 1
        assert lines[1].startswith(f"✕ {name} ")
        assert "missing" in lines[1]


def test_headers_that_the_other_protocol_can_not_send():
    """Whether the port speaks the other protocol is not asked with headers that this one can't send."""
    with HttpReceiver() as receiver:
        receiver.refuse(503)
        code, lines = examined("--endpoint", receiver.endpoint, OTEL_EXPORTER_OTLP_HEADERS="x-api-bin=k")
    assert code == 1
    assert lines[1].startswith("✕ it did not take the span: HTTP 503")


def test_a_proxy_is_named():
    """What the environment puts in between is named before the request, without its password, and with its failure."""
    proxy = f"http://me:word@127.0.0.1:{free_port()}"
    output = doctor("--endpoint", "http://receiver.example:4318", HTTP_PROXY=proxy)[1]
    named = proxy.replace("me:word@", "").removeprefix("http://")
    assert f"• requests go through the proxy {named}\n  → name the host in NO_PROXY" in output
    assert f"Connection refused, through the proxy {named}\n" in output
    assert "word" not in output


def test_a_page_is_no_receiver():
    """What answers with a page of its own has taken nothing, though its status says so."""
    with HttpReceiver() as receiver:
        receiver.refuse(HttpAnswer(200, b"<!doctype html>", "text/html"))
        code, lines = examined("--endpoint", receiver.endpoint)
    assert code == 1
    assert lines[2].startswith("  → check port and path")


@pytest.mark.parametrize("status", [400, 429, 503])
def test_a_receiver_that_does_not_want_it(status):
    """Where the receiver itself refuses, its log is what helps."""
    with HttpReceiver() as receiver:
        receiver.refuse(status)
        lines = examined("--endpoint", receiver.endpoint)[1]
    assert lines[1].startswith(f"✕ it did not take the span: HTTP {status}")
    assert lines[2] == "  → it is the receiver that says so; look into its log"


def test_a_host_that_is_not_there():
    """A name that nobody has is what is to be checked."""
    lines = examined("--endpoint", "http://no-such-host.invalid:4318")[1]
    assert lines[2] == "  → check the name of the host"


def test_what_is_set_is_listed():
    """Versions and variables are listed without secrets; what turns spans off is a fault."""
    with HttpReceiver() as receiver:
        code, output = doctor(
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_HEADERS="x-api-key=secret-1",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=receiver.endpoint.replace("//", "//ada:secret-2@")
            + "/v1/traces?key=secret-3",
            OTEL_TRACES_EXPORTER="none",
        )
    assert code == 1
    assert "✕ OTEL_TRACES_EXPORTER=none keeps spans from being sent\n  → unset it, or say otlp" in output
    assert "secret-" not in output
    assert f"✓ runspan {runspan.__version__}, Python {platform.python_version()}" in output
    assert f"✓ langchain-core {version('langchain-core')}" in output
    assert f"• OTEL_EXPORTER_OTLP_ENDPOINT={receiver.endpoint}" in output
    assert "OTEL_EXPORTER_OTLP_HEADERS=(set, not shown)" in output


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "RUNSPAN_DETAIL",
            "most",
            "✕ Settings: RUNSPAN_DETAIL = 'most' is not allowed. Input should be 'minimal', 'normal' or 'all'.\n",
        ),
        (
            "RUNSPAN_CAPTURE_CONTENTS",
            "none",
            "✕ RUNSPAN_CAPTURE_CONTENTS is no variable of runspan\n  → RUNSPAN_CAPTURE_CONTENT is one; rename it\n",
        ),
        (
            "OTEL_TRACES_SAMPLER",
            "parentbased_always_off",
            "✕ OTEL_TRACES_SAMPLER=parentbased_always_off keeps traces from being recorded\n  → unset it\n",
        ),
    ],
)
def test_a_variable_that_is_mistaken_is_a_fault(variable, value, said):
    """A value that no handler would take, a name that is nearly an option's, and a sampler of nothing are named."""
    with HttpReceiver() as receiver:
        code, output = doctor("--endpoint", receiver.endpoint, **{variable: value})
    assert (code, said in output) == (1, True)


def test_a_variable_of_an_application_is_no_fault():
    """Who names a variable of their own like ours has it listed, and that is all."""
    with HttpReceiver() as receiver:
        code, output = doctor("--endpoint", receiver.endpoint, RUNSPAN_DEMO_MODEL="claude")
    assert (code, "✕" in output) == (0, False)


@pytest.mark.parametrize(
    ("environment", "said", "remedy"),
    [
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{}/elsewhere"},
            "• the path is /elsewhere, not the usual /v1/traces",
            "end OTEL_EXPORTER_OTLP_TRACES_ENDPOINT with /v1/traces; it is used as it is",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{}/v1/traces/v1/traces"},
            "✕ the path is /v1/traces/v1/traces: /v1/traces is in it twice",
            "leave it out of OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}/v1/traces", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "✕ the endpoint has the path /v1/traces, which gRPC doesn't use",
            "leave the path out",
        ),
    ],
    ids=["other", "twice", "gRPC"],
)
def test_a_path_that_looks_wrong(environment, said, remedy):
    """An endpoint with a path that it should not have is named, with what to do."""
    with HttpReceiver() as receiver:
        output = doctor(**{name: value.format(receiver.endpoint) for name, value in environment.items()})[1]
    assert f"{said}\n  → {remedy}\n" in output


def test_an_endpoint_that_is_none():
    """A value that is no URL is an error with an example."""
    code, output = doctor("--endpoint", "localhost")
    assert code == 1
    assert "it must be an http or https URL" in output


def spool_with_a_span(folder):
    """Leave a span in a spool, as a service does whose receiver is away."""
    run_python(
        f"configure(endpoint='http://127.0.0.1:9', spool={str(folder)!r}, exit_timeout=0.5)\nend('waits')",
        as_json=False,
    )


@pytest.mark.parametrize(
    ("make", "said", "remedy"),
    [
        (lambda folder: None, "• the spool {} is not there yet", ""),
        (lambda folder: folder.mkdir(), "✓ nothing waits in the spool {}", ""),
        (spool_with_a_span, "• 1 request of ", "  → runspan view {}"),
        (lambda folder: folder.touch(), "✕ the spool {} can't be read (Not a directory)", "  → give its folder"),
    ],
    ids=["not there", "empty", "waiting", "no folder"],
)
def test_a_spool_is_looked_into(tmp_path, make, said, remedy):
    """What waits in a spool is counted and stays there; one that is not there yet is no fault."""
    make(tmp_path / "spool")
    with HttpReceiver() as receiver:
        code, output = doctor("--endpoint", receiver.endpoint, "--spool", tmp_path / "spool")
        assert [span["name"] for span in receiver.received()] == ["runspan doctor"]
    lines = output.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith(said.format(tmp_path / "spool")))
    assert lines[at + 1].startswith(remedy.format(tmp_path / "spool"))
    assert code == int(said.startswith("✕"))
