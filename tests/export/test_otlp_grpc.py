"""The gRPC client against real servers on loopback."""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import DebugInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from runspan.export.otlp.grpc import retry_delay
from runspan.export.otlp.result import Rejected, Retryable, Success, TooLarge
from tests.export import clients
from tests.export.clients import (
    ALL,
    IMPATIENT_SECONDS,
    MARGIN_SECONDS,
    check_close_ends_sending,
    check_shows_who_it_is,
    request_of,
    unlike_any_other,
)
from tests.otlp_receivers import GrpcAnswer, GrpcReceiver, HttpReceiver, WireReceiver, reset

certificates, trusted = clients.certificates, clients.trusted  # fixtures
provider, client_of = clients.provider, clients.client_of
TIME_IS_OVER = Retryable("no answer within 0.3 s")
Code = grpc.StatusCode


@pytest.fixture
def grpc_client_of(client_of):
    def make(endpoint, **arguments):
        return client_of(endpoint, protocol="grpc", **arguments)

    return make


def details(*messages):
    """Return trailers as a receiver puts details of its status into them."""
    status = Status()
    for message in messages:
        packed = Any()
        packed.Pack(message)
        status.details.append(packed)
    return (("grpc-status-details-bin", status.SerializeToString()),)


WAIT = RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000))


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_a_request_arrives_as_otlp_says(grpc_client_of, monkeypatch, compression):
    """It arrives in each compression, with the headers of the target and our name."""
    monkeypatch.setenv(ALL + "COMPRESSION", compression)
    with GrpcReceiver() as receiver:
        client = grpc_client_of(receiver.endpoint, headers={"X-Api-Key": "k"})
        assert [client.send(request_of("a", "b")), client.send(request_of("c"))] == [Success()] * 2
        assert [span["name"] for span in receiver.received()] == ["a", "b", "c"]
        assert receiver.headers[0]["x-api-key"] == "k"
        assert receiver.headers[0]["user-agent"].startswith("runspan/")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (GrpcAnswer(), Success()),
        (
            GrpcAnswer(
                response=ExportTraceServiceResponse(
                    partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="too old")
                )
            ),
            Success(1, "too old"),
        ),
        *(
            (GrpcAnswer(code, "try later"), Retryable(f"{code.name}: try later"))
            for code in (Code.CANCELLED, Code.ABORTED, Code.OUT_OF_RANGE, Code.UNAVAILABLE, Code.DATA_LOSS)
        ),
        (GrpcAnswer(Code.DEADLINE_EXCEEDED, "my own"), Retryable("DEADLINE_EXCEEDED: my own")),
        (GrpcAnswer(Code.UNAVAILABLE, "busy", details(DebugInfo(), WAIT)), Retryable("UNAVAILABLE: busy", 2.5)),
        (GrpcAnswer(Code.RESOURCE_EXHAUSTED, "quota", details(WAIT)), Retryable("RESOURCE_EXHAUSTED: quota", 2.5)),
        (
            GrpcAnswer(Code.RESOURCE_EXHAUSTED, "quota", (("google.rpc.retryinfo-bin", WAIT.SerializeToString()),)),
            Retryable("RESOURCE_EXHAUSTED: quota", 2.5),
        ),
        (GrpcAnswer(Code.RESOURCE_EXHAUSTED, "quota", details(DebugInfo())), Rejected("RESOURCE_EXHAUSTED: quota")),
        (GrpcAnswer(Code.RESOURCE_EXHAUSTED), Rejected("RESOURCE_EXHAUSTED: no reason given")),
        (
            GrpcAnswer(Code.RESOURCE_EXHAUSTED, "grpc: received message after decompression larger than max 4194304"),
            TooLarge("RESOURCE_EXHAUSTED: grpc: received message after decompression larger than max 4194304", 4194304),
        ),
        (
            GrpcAnswer(Code.OUT_OF_RANGE, "decoded message length too large: found 9 bytes, the limit is: 8 bytes"),
            TooLarge("OUT_OF_RANGE: decoded message length too large: found 9 bytes, the limit is: 8 bytes", 8),
        ),
        (GrpcAnswer(Code.INVALID_ARGUMENT, "body too large"), TooLarge("INVALID_ARGUMENT: body too large")),
        (GrpcAnswer(Code.PERMISSION_DENIED, "body too large"), Rejected("PERMISSION_DENIED: body too large")),
        *(
            (GrpcAnswer(code, "no\r\n\x1b[1mway"), Rejected(f"{code.name}: no [1mway"))
            for code in (
                Code.UNKNOWN,
                Code.INVALID_ARGUMENT,
                Code.NOT_FOUND,
                Code.ALREADY_EXISTS,
                Code.PERMISSION_DENIED,
                Code.UNAUTHENTICATED,
                Code.FAILED_PRECONDITION,
                Code.UNIMPLEMENTED,
                Code.INTERNAL,
            )
        ),
    ],
    ids=lambda value: value.code and value.code.name if isinstance(value, GrpcAnswer) else "",
)
def test_each_answer_means_what_otlp_says(grpc_client_of, answer, result):
    """What OTLP's table says may be tried again; a request too large can be split; the rest is final."""
    with GrpcReceiver() as receiver:
        receiver.refuse(answer)
        assert grpc_client_of(receiver.endpoint).send(request_of("a", "b")) == result
        assert receiver.attempts == 1


@pytest.mark.parametrize(("compression", "limit"), [("none", 4194304), ("gzip", None)])
def test_the_limit_that_servers_have_by_default_is_named(grpc_client_of, monkeypatch, compression, limit):
    """A request over 4 MiB is too large, by its size before compression, and one below it arrives; gRPC's C core does
    not name the limit when the request was compressed."""
    monkeypatch.setenv(ALL + "COMPRESSION", compression)
    with GrpcReceiver() as receiver:
        client = grpc_client_of(receiver.endpoint)
        answer = client.send(request_of("a" * 4_200_000))
        assert (type(answer), answer.limit) == (TooLarge, limit)
        assert client.send(request_of("a" * 4_190_000)) == Success()


@given(st.lists(st.tuples(st.sampled_from(["grpc-status-details-bin", "google.rpc.retryinfo-bin"]), st.binary())))
def test_any_trailers_are_a_time_to_wait_or_none(trailers):
    """No details of a status make an error or a time before now."""
    seconds = retry_delay(trailers)
    assert seconds is None or seconds >= 0


@contextmanager
def answering(answer, compression=None):
    """Run a server that answers everything with these bytes."""

    class Fixed(grpc.GenericRpcHandler):
        def service(self, _):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

    with ThreadPoolExecutor(1) as pool:
        options = [("grpc.max_send_message_length", -1)]
        server = grpc.server(pool, handlers=[Fixed()], options=options, compression=compression)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"http://127.0.0.1:{port}"
        server.stop(None).wait()


def test_an_answer_that_is_no_message_is_a_success(grpc_client_of):
    """The status said enough."""
    with answering(b"\xff\xff") as endpoint:
        assert grpc_client_of(endpoint).send(request_of("a")) == Success()


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_an_answer_of_any_size_is_not_taken_in(compression):
    """An answer of 200 MB, or of 200 KB that unpack to it, costs no memory; the request has arrived, so it is sent."""
    program = """
        import resource, sys
        from runspan.export.otlp.client import make_client
        from runspan.export.otlp.target import resolve_target
        from runspan.export.encoding.requests import Request

        client = make_client(resolve_target(endpoint=sys.argv[1], protocol="grpc"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(client.send(Request(b"", 1)))
        client.close()
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024 < 100)
    """
    with answering(b"\x0a\x00" * (100 * 2**20), compression) as endpoint:
        argv = [sys.executable, "-c", dedent(program), endpoint]
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert ended.stdout.splitlines() == ["Success(rejected=0, reason='')", "True"], ended.stderr


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_compressed_answer_is_read(grpc_client_of, size):
    """A partial success that came compressed, as grpc-go sends it, is read."""
    partial = ExportTracePartialSuccess(rejected_spans=1, error_message="x" * size)
    answer = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    with answering(answer, grpc.Compression.Gzip) as endpoint:
        result = grpc_client_of(endpoint).send(request_of("a"))
    assert (result.rejected, result.reason[:100]) == (1, "x" * 100)


def test_nobody_listens_and_then_somebody_does(grpc_client_of):
    """The next try after a failure connects anew at once, however often it or another client failed before."""
    with GrpcReceiver() as receiver:
        client, other = grpc_client_of(receiver.endpoint), grpc_client_of(receiver.endpoint)
        assert [client.send(request_of("a")), other.send(request_of("a"))] == [Success()] * 2
    for _ in range(5):
        answer = client.send(request_of("a"))
        assert answer.reason.startswith("UNAVAILABLE: failed to connect to all addresses")
    with GrpcReceiver(int(receiver.endpoint.rpartition(":")[2])) as receiver:
        assert [client.send(request_of("a")), other.send(request_of("a"))] == [Success()] * 2


@pytest.mark.parametrize(
    "talk", [reset, lambda wire: (wire.recv(10), reset(wire)), lambda wire: wire.sendall(b"SSH-2.0-x\r\n")]
)
def test_a_connection_that_breaks_is_a_reason_to_try_later(grpc_client_of, talk):
    """Whatever is there instead of gRPC may be something else next time."""
    with WireReceiver(talk) as receiver:
        answer = grpc_client_of(receiver.endpoint, impatient=True).send(request_of("a"))
        assert isinstance(answer, Retryable)


def test_a_receiver_of_http_only_is_named(grpc_client_of):
    """The port for HTTP is easily taken for the other."""
    with HttpReceiver() as receiver:
        assert isinstance(grpc_client_of(receiver.endpoint, impatient=True).send(request_of("a")), Retryable)


def test_a_server_that_goes_in_the_middle(grpc_client_of):
    """A request without an answer when the server stops may be sent later."""
    with ThreadPoolExecutor(1) as pool, GrpcReceiver() as receiver:
        receiver.hold()
        sending = pool.submit(grpc_client_of(receiver.endpoint).send, request_of("a"))
        receiver.wait_for_attempts(1)
        receiver.break_off()
        assert isinstance(sending.result(5), Retryable)


def never_read(wire):
    wire.sendall(bytes.fromhex("000000040000000000"))  # HTTP/2 settings, then nothing


@pytest.mark.parametrize("talk", [lambda wire: wire.recv(1), never_read, None], ids=["deaf", "never reads", "holds"])
def test_the_timeout_is_for_all_of_it(grpc_client_of, talk):
    """A receiver that is silent takes no longer than the timeout."""
    with GrpcReceiver() as holding, WireReceiver(talk) as dawdling:
        holding.hold()
        client = grpc_client_of(dawdling.endpoint if talk else holding.endpoint, impatient=True)
        began = time.monotonic()
        assert client.send(request_of(unlike_any_other(1_000_000))) == TIME_IS_OVER
        assert time.monotonic() - began < IMPATIENT_SECONDS + MARGIN_SECONDS


@pytest.mark.parametrize("where", ["connecting", "waiting"])
def test_close_ends_what_is_being_sent(grpc_client_of, where):
    """Close does not wait, and a request on its way ends soon, wherever it hangs; afterwards nothing is sent."""
    with GrpcReceiver() as holding, WireReceiver(lambda wire: threading.Event().wait(5)) as silent:
        holding.hold()
        check_close_ends_sending(grpc_client_of(holding.endpoint if where == "waiting" else silent.endpoint))


def server_credentials(made, *, ask=False):
    return grpc.ssl_server_credentials(
        [(made.server_key, made.server_chain)],
        root_certificates=made.authority_bytes if ask else None,
        require_client_auth=ask,
    )


def test_tls_with_an_authority_of_our_own(grpc_client_of, trusted):
    """The authority in the environment is trusted, whether the endpoint is a URL or an address."""
    with GrpcReceiver(tls=server_credentials(trusted)) as receiver:
        for endpoint in (receiver.endpoint, receiver.endpoint.removeprefix("https://")):
            assert grpc_client_of(endpoint).send(request_of("a")) == Success()


def test_a_certificate_that_is_not_trusted_is_named_with_the_remedy(grpc_client_of, certificates):
    """It may be trusted after the next deployment, so the request may be sent later."""
    with GrpcReceiver(tls=server_credentials(certificates)) as receiver:
        assert grpc_client_of(receiver.endpoint).send(request_of("a")) == Retryable(
            "the certificate of the receiver is not trusted (unable to get local issuer certificate);"
            " OTEL_EXPORTER_OTLP_CERTIFICATE names the authority to trust"
        )


def test_a_receiver_that_wants_to_know_us(grpc_client_of, trusted, monkeypatch):
    """The client certificate is shown, its key in a file of its own or in the same."""
    with GrpcReceiver(tls=server_credentials(trusted, ask=True)) as receiver:
        check_shows_who_it_is(lambda: grpc_client_of(receiver.endpoint), trusted, monkeypatch)


@pytest.mark.parametrize("reset_code", [0, 2, 11])
@pytest.mark.parametrize("garbage", [b"", b"\xff" * 100])
def test_a_stream_that_breaks_is_no_answer(grpc_client_of, reset_code, garbage):
    """Proxies reset a stream when the receiver behind them goes; gRPC gives it codes that a receiver refuses with."""

    def talk(wire):
        wire.sendall(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))  # SETTINGS, which come first
        stream = wire.makefile("rb")
        stream.read(24)  # the preface
        kind = None
        while kind != 1:  # HEADERS, with which the request begins
            *length, kind = stream.read(9)[:4]
            stream.read(int.from_bytes(bytes(length)))
        wire.sendall(garbage or bytes((0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, reset_code)))  # RST_STREAM
        wire.recv(65536)

    with WireReceiver(talk) as receiver:
        answer = grpc_client_of(receiver.endpoint).send(request_of("a"))
        assert isinstance(answer, Retryable)
        assert ("Failed parsing HTTP/2" if garbage else "RST_STREAM") in answer.reason


def test_certificates_may_be_replaced(grpc_client_of, certificates, tmp_path, monkeypatch):
    """The files are read for each connection, as over HTTP: what expires is replaced while the process runs."""
    named = {"CERTIFICATE": certificates.authority, "CLIENT_CERTIFICATE": certificates.client_with_key}
    other = clients.Certificates(tmp_path)
    for name, wrong in (("CERTIFICATE", other.authority), ("CLIENT_CERTIFICATE", other.client_with_key)):
        shutil.copy(wrong, tmp_path / name)
        monkeypatch.setenv(ALL + name, str(tmp_path / name))
    with GrpcReceiver(tls=server_credentials(certificates, ask=True)) as receiver:
        client = grpc_client_of(receiver.endpoint)
        for name, right in named.items():
            assert isinstance(client.send(request_of("a")), Retryable)
            (tmp_path / name).unlink()
            assert isinstance(client.send(request_of("a")), Retryable)
            shutil.copy(right, tmp_path / name)
        assert client.send(request_of("a")) == Success()


@pytest.mark.parametrize(
    ("endpoint", "insecure", "plain"),
    [
        ("http://{}", "", True),
        ("http://{}", "true", True),
        ("http://{}", "false", False),
        ("https://{}", "", False),
        ("https://{}", "true", False),
        ("{}", "", False),
        ("{}", "TRUE", True),
        ("http://me:word@{}", "", True),
    ],
)
def test_insecure_means_what_it_does_to_the_exporter_of_opentelemetry(
    grpc_client_of, monkeypatch, endpoint, insecure, plain
):
    """Plain text for http unless it is said otherwise, TLS for https whatever is said and for a bare address."""
    monkeypatch.setenv(ALL + "INSECURE", insecure)
    with GrpcReceiver() as receiver:
        answer = grpc_client_of(endpoint.format(receiver.endpoint.removeprefix("http://"))).send(request_of("a"))
        assert (answer == Success()) is plain


def secure_credentials():
    return grpc.ssl_channel_credentials(Path(os.environ["AUTHORITY_OF_THE_TEST"]).read_bytes())


def credentials_of_a_provider():
    token = grpc.access_token_call_credentials("fresh")
    return grpc.composite_channel_credentials(secure_credentials(), token)


def credentials_without_a_token():
    def refuse(context, callback):
        raise LookupError("no token")

    return grpc.composite_channel_credentials(secure_credentials(), grpc.metadata_call_credentials(refuse))


@pytest.mark.parametrize("variable", ["GRPC_TRACES", "GRPC"])
def test_a_credential_provider_makes_the_credentials(grpc_client_of, provider, certificates, monkeypatch, variable):
    """The entry point named in the environment makes the credentials of the channel."""
    monkeypatch.setenv("AUTHORITY_OF_THE_TEST", certificates.authority)
    provider(f"{__name__}:credentials_of_a_provider")
    monkeypatch.setenv(f"OTEL_PYTHON_EXPORTER_OTLP_{variable}_CREDENTIAL_PROVIDER", "ours")
    with GrpcReceiver(tls=server_credentials(certificates)) as receiver:
        assert grpc_client_of(receiver.endpoint).send(request_of("a")) == Success()
        assert receiver.headers[0]["authorization"] == "Bearer fresh"


def test_a_provider_without_a_token_is_no_error_of_ours(grpc_client_of, provider, certificates, monkeypatch):
    """Whatever it raises, the request may be sent later."""
    monkeypatch.setenv("AUTHORITY_OF_THE_TEST", certificates.authority)
    provider(f"{__name__}:credentials_without_a_token")
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_GRPC_CREDENTIAL_PROVIDER", "ours")
    with GrpcReceiver(tls=server_credentials(certificates)) as receiver:
        answer = grpc_client_of(receiver.endpoint).send(request_of("a"))
        assert (type(answer), "no token" in answer.reason) == (Retryable, True)
