"""``runspan doctor``, against receivers of every kind."""

import grpc
import pytest

from tests.otlp_receivers import GrpcReceiver, HttpReceiver, WireReceiver
from tests.ui import free_port
from tests.viewer.test_commands import run


def examined(*arguments, **environment):
    """Return the exit code, and the lines from the first word about the endpoint on."""
    code, output = run("doctor", *arguments, **environment)
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


def test_nothing_listens():
    """A refused connection is said to be one, with what could be started."""
    code, lines = examined("--endpoint", f"http://127.0.0.1:{free_port()}")
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
    assert "OTEL_EXPORTER_OTLP_HEADERS" in lines[2]


def test_a_port_of_something_else():
    """What answers with neither protocol gets a reason, not a traceback."""
    with WireReceiver(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as receiver:
        code, output = run("doctor", "--endpoint", f"http://127.0.0.1:{receiver.port}")
    assert code == 1
    assert "it did not take the span" in output


def test_what_is_set_is_listed():
    """Versions and variables are listed without secrets; what turns spans off is a fault."""
    with HttpReceiver() as receiver:
        code, output = run(
            "doctor",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_HEADERS="x-api-key=secret-1",
            OTEL_TRACES_EXPORTER="none",
        )
    assert code == 1
    assert "✕ OTEL_TRACES_EXPORTER=none keeps spans from being sent\n  → unset it, or say otlp" in output
    assert "secret-1" not in output
    assert "OTEL_EXPORTER_OTLP_HEADERS=(set, not shown)" in output


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{}/elsewhere"}, "the path is /elsewhere, not the usual /v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{}/v1/traces/v1/traces"}, "/v1/traces is in it twice"),
    ],
)
def test_a_path_that_looks_wrong(environment, said):
    """An endpoint with another path is named, with the variable that it comes from."""
    with HttpReceiver() as receiver:
        base = receiver.endpoint.removesuffix("/v1/traces")
        output = run("doctor", **{name: value.format(base) for name, value in environment.items()})[1]
    assert said in output


def test_an_endpoint_that_is_none():
    """A value that is no URL is an error with an example."""
    code, output = run("doctor", "--endpoint", "localhost")
    assert code == 1
    assert "it must be an http or https URL" in output


def test_a_spool_is_looked_into(tmp_path):
    """A spool that is not there yet is no fault."""
    with HttpReceiver() as receiver:
        code, output = run("doctor", "--endpoint", receiver.endpoint, "--spool", tmp_path / "spool")
    assert code == 0
    assert "is not there yet" in output
