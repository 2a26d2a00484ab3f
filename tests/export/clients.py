"""Clients for tests: what they send, whom they trust, and who vouches for them."""

import random
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from runspan.export.encoding.requests import Request
from runspan.export.otlp.client import make_client
from runspan.export.otlp.result import Retryable, Success
from runspan.export.otlp.target import resolve_target

ALL = "OTEL_EXPORTER_OTLP_"
IMPATIENT_SECONDS = 0.3
MARGIN_SECONDS = 5


def request_of(*names):
    """Return a request whose spans have these names."""
    spans = ScopeSpans(spans=[Span(name=name) for name in names])
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[spans])])
    return Request(request.SerializeToString(), len(names))


def check_close_ends_sending(client):
    """Check that close does not wait, and that what the client sends into silence ends soon."""
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.send, request_of("a"))
        time.sleep(0.2)  # until it hangs; sooner would be right as well
        began = time.monotonic()
        client.close()
        assert time.monotonic() - began < MARGIN_SECONDS
        assert sending.result(5) == Retryable("closed")
        assert time.monotonic() - began < MARGIN_SECONDS
    assert client.send(request_of("a")) == Retryable("closed")
    client.close()


def check_shows_who_it_is(make_client, certificates, monkeypatch):
    """Check that clients of a receiver that asks are taken by their certificate, and only so."""
    assert isinstance(make_client().send(request_of("a")), Retryable)
    monkeypatch.setenv(ALL + "CLIENT_CERTIFICATE", certificates.client)
    monkeypatch.setenv(ALL + "CLIENT_KEY", certificates.key)
    assert make_client().send(request_of("a")) == Success()
    monkeypatch.delenv(ALL + "CLIENT_KEY")
    monkeypatch.setenv(ALL + "CLIENT_CERTIFICATE", certificates.client_with_key)
    assert make_client().send(request_of("a")) == Success()


@cache
def unlike_any_other(length):
    """Return a text that compression makes hardly shorter than half."""
    return random.Random(1).randbytes(length // 2).hex()


class Certificates:
    """An authority, a server certificate for loopback and a client certificate of it; paths of PEM files."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self._server = authority.issue_cert("127.0.0.1", "localhost")
        client = authority.issue_cert("client@example.org")
        self.authority = _written(folder / "authority.pem", authority.cert_pem)
        self.authority_bytes = authority.cert_pem.bytes()
        self.client = _written(folder / "client.pem", client.cert_chain_pems[0])
        self.key = _written(folder / "key.pem", client.private_key_pem)
        self.client_with_key = _written(folder / "both.pem", client.private_key_and_cert_chain_pem)
        self.server_key, self.server_chain = (
            self._server.private_key_pem.bytes(),
            self._server.cert_chain_pems[0].bytes(),
        )

    def server_context(self) -> ssl.SSLContext:
        """Return what a server needs to speak TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.configure_cert(context)
        return context


def _written(path: Path, blob: trustme.Blob) -> str:
    blob.write_to_path(path)
    return str(path)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Certificates of this run."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def provider(tmp_path, monkeypatch):
    """Install a package whose credential provider ``ours`` is a given function."""

    def install(function):
        installed = tmp_path / "providers-1.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: providers\nVersion: 1\n")
        (installed / "entry_points.txt").write_text(f"[opentelemetry_otlp_credential_provider]\nours = {function}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


@pytest.fixture
def trusted(certificates, monkeypatch):
    """Certificates whose authority the environment names."""
    monkeypatch.setenv(ALL + "CERTIFICATE", certificates.authority)
    return certificates


@pytest.fixture
def client_of(monkeypatch):
    """Make clients, with a short timeout if they are to be impatient, and close them at the end."""
    clients = []

    def make(endpoint, *, impatient=False, **arguments):
        if impatient:
            monkeypatch.setenv(ALL + "TIMEOUT", str(IMPATIENT_SECONDS))
        clients.append(make_client(resolve_target(endpoint=endpoint, **arguments)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
