"""Who is trusted on the way, and how the client shows who it is: TLS, proxies, credential providers."""

import base64
import contextlib
import socket
import ssl
import threading
import time
from dataclasses import replace

import pytest
import requests

from runspan.export.otlp.result import Rejected, Retryable, Success, TooLarge
from tests.export import clients
from tests.export.clients import ALL, IMPATIENT_SECONDS, MARGIN_SECONDS, check_shows_who_it_is, request_of
from tests.otlp_receivers import HttpAnswer, HttpReceiver, WireReceiver, read_http_request

certificates, trusted = clients.certificates, clients.trusted  # fixtures
provider, client_of = clients.provider, clients.client_of
TIME_IS_OVER = Retryable("no answer within 0.3 s")


def test_tls_with_an_authority_of_our_own(client_of, trusted):
    """The authority in the environment is trusted."""
    with HttpReceiver(tls=trusted.server_context()) as receiver:
        client = client_of(receiver.endpoint)
        assert [client.send(request_of("a")) for _ in range(2)] == [Success()] * 2
        assert receiver.connections == 1


def test_the_bundle_that_requests_reads_counts_too(client_of, certificates, monkeypatch):
    """Where the OTLP variables say nothing those of requests do."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.authority)
    with HttpReceiver(tls=certificates.server_context()) as receiver:
        assert client_of(receiver.endpoint).send(request_of("a")) == Success()


def test_a_certificate_that_is_not_trusted_is_named_with_the_remedy(client_of, certificates):
    """It may be trusted after the next deployment, so the request may be sent later."""
    with HttpReceiver(tls=certificates.server_context()) as receiver:
        assert client_of(receiver.endpoint).send(request_of("a")) == Retryable(
            "the certificate of the receiver is not trusted (unable to get local issuer certificate);"
            " OTEL_EXPORTER_OTLP_CERTIFICATE names the authority to trust"
        )


def test_a_receiver_without_tls_is_named(client_of):
    """An https endpoint that speaks plain HTTP is a reason to try later, which names TLS."""
    with HttpReceiver() as receiver:
        answer = client_of(receiver.endpoint.replace("http:", "https:")).send(request_of("a"))
        assert answer.reason.startswith("SSLError: [SSL: ")


def test_a_receiver_that_wants_to_know_us(client_of, certificates, monkeypatch):
    """The client certificate is shown; without it the receiver refuses the connection."""
    context = certificates.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority)
    monkeypatch.setenv(ALL + "CERTIFICATE", certificates.authority)
    with HttpReceiver(tls=context) as receiver:
        check_shows_who_it_is(lambda: client_of(receiver.endpoint), certificates, monkeypatch)


def test_a_proxy_of_the_environment_is_used(client_of, monkeypatch):
    """Requests go to it, but not those for hosts that are to be reached directly."""
    with HttpReceiver() as proxy, HttpReceiver() as receiver:
        monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert client_of("http://nowhere.invalid").send(request_of("a")) == Success()
        assert client_of(receiver.endpoint).send(request_of("b")) == Success()
        assert proxy.paths == ["http://nowhere.invalid/v1/traces"]
        assert receiver.paths == ["/v1/traces"]
        proxy.refuse(403)
        refusal = client_of("http://nowhere.invalid").send(request_of("a"))
        assert refusal == Rejected(f"HTTP 403: Forbidden, through the proxy {proxy.endpoint}")


def test_an_answer_that_does_not_wait_for_the_whole_request_counts(client_of, trusted, monkeypatch):
    """Who refuses by its length, and closes, breaks off the sending: that is too large, and no reason to try again."""
    monkeypatch.setenv(ALL + "COMPRESSION", "none")

    def refuse(wire):
        wire.recv(100)
        wire.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        wire.close()

    with WireReceiver(refuse, tls=trusted.server_context()) as receiver:
        client = client_of(receiver.endpoint)
        answers = (client.send(request_of("a" * 3_900_000)) for _ in range(20))  # some are lost with the connection
        assert TooLarge("HTTP 413: Too Large") in answers


@pytest.mark.parametrize("tls", [False, True])
def test_tls_goes_through_a_proxy(client_of, certificates, monkeypatch, tls):
    """A proxy, which may speak TLS itself, is asked for a tunnel; its timeout counts too, and a failure names it."""
    monkeypatch.setenv(ALL + "CERTIFICATE", certificates.authority)

    def tunnel(wire):
        heads.append(read_http_request(wire).splitlines()[0])
        with socket.create_connection(("127.0.0.1", int(receiver.endpoint.rpartition(":")[2]))) as beyond:
            wire.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pass_on, args=(beyond, wire))
            back.start()
            pass_on(wire, beyond)
            back.join()

    def pass_on(source, sink):
        with contextlib.suppress(OSError):  # either side is gone
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    heads = []
    context = certificates.server_context() if tls else None
    with HttpReceiver(tls=certificates.server_context()) as receiver, WireReceiver(tunnel, tls=context) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint)
        client = client_of("https://localhost:4318")
        assert client.send(request_of("a")) == Success()
        client.close()
        assert [head.rpartition(b" ")[0] for head in heads] == [b"CONNECT localhost:4318"]
    with WireReceiver(read_http_request) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint)
        began = time.monotonic()
        failure = replace(TIME_IS_OVER, reason=f"{TIME_IS_OVER.reason}, through the proxy {proxy.endpoint}")
        assert client_of("https://localhost:4318", impatient=True).send(request_of("a")) == failure
        assert time.monotonic() - began < IMPATIENT_SECONDS + MARGIN_SECONDS


def test_a_netrc_does_not_replace_our_key(client_of, monkeypatch, tmp_path):
    """No credentials come from a file that belongs to other programs: only those of the headers or of the endpoint."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password word\ndefault login other password word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with HttpReceiver() as receiver:
        assert client_of(receiver.endpoint, headers={"Authorization": "Bearer k"}).send(request_of("a")) == Success()
        assert client_of(receiver.endpoint).send(request_of("a")) == Success()
        with_user = receiver.endpoint.replace("//", "//me:mine@")
        assert client_of(with_user).send(request_of("a")) == Success()
        ours = f"Basic {base64.b64encode(b'me:mine').decode()}"
        assert [headers.get("authorization") for headers in receiver.headers] == ["Bearer k", None, ours]


def test_a_reason_keeps_the_password_of_a_proxy(client_of, monkeypatch):
    """What is said of a request that failed shows no user and no password of a URL."""
    for proxy in ("http://me:word@127.0.0.1:1", "http://me:word@", "nonsense://me:word@127.0.0.1:1"):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        answer = client_of("http://localhost:4318").send(request_of("a"))
        assert answer.reason
        assert "word" not in answer.reason


class OwnTransport(requests.adapters.HTTPAdapter):
    """What a provider may have mounted."""


def session_of_a_provider():
    session = requests.Session()
    session.auth = token
    return session


def session_with_its_own_transport():
    session = session_of_a_provider()
    session.mount("http://", OwnTransport())
    return session


def token(prepared):
    prepared.headers["authorization"] = "Bearer fresh"
    return prepared


def session_without_a_token():
    class RefreshError(Exception):
        pass

    def refuse(_):
        raise RefreshError

    session = requests.Session()
    session.auth = refuse
    return session


@pytest.mark.parametrize("made", ["session_of_a_provider", "session_with_its_own_transport"])
@pytest.mark.parametrize("variable", ["HTTP_TRACES", "HTTP"])
def test_a_credential_provider_makes_the_session(client_of, provider, monkeypatch, variable, made):
    """The entry point named in the environment makes the session that sends; it follows no redirects either."""
    provider(f"{__name__}:{made}")
    monkeypatch.setenv(f"OTEL_PYTHON_EXPORTER_OTLP_{variable}_CREDENTIAL_PROVIDER", "ours")
    with HttpReceiver() as receiver:
        client = client_of(receiver.endpoint)
        assert client.send(request_of("a")) == Success()
        assert receiver.headers[0]["authorization"] == "Bearer fresh"
        receiver.refuse(HttpAnswer(307, headers={"Location": receiver.endpoint}))
        assert client.send(request_of("a")) == Rejected(
            "HTTP 307, a redirect to 127.0.0.1, which is not followed; set the endpoint to where it leads"
        )


def test_a_provider_without_a_token_is_no_error_of_ours(client_of, provider, monkeypatch, caplog):
    """Whatever it raises, the request may be sent later."""
    provider(f"{__name__}:session_without_a_token")
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "ours")
    with HttpReceiver() as receiver:
        assert client_of(receiver.endpoint).send(request_of("a")) == Retryable(
            "it failed in foreign code, such as a credential provider; the log of 'runspan' names it"
        )
        assert "RefreshError" in caplog.text
