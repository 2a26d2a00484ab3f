"""Real OTLP receivers on loopback: they answer as a collector does and keep what they got.

    with HttpReceiver() as receiver:
        configure(endpoint=receiver.endpoint)
        ...
        assert [span["name"] for span in receiver.wait_for(3)] == [...]

``receiver.refuse(503)`` (HTTP status) or ``receiver.refuse(grpc.StatusCode.UNAVAILABLE)`` makes it refuse from now on,
``receiver.hold()`` makes it keep every request waiting, ``receiver.accept()`` ends both. An ``HttpAnswer`` or a
``GrpcAnswer`` in place of the status says it in words. ``receive_bodies`` serves signals other than traces.
"""

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

HELD_FOR_AT_MOST_SECONDS = 60


@dataclass(frozen=True)
class HttpAnswer:
    """What an HttpReceiver says instead of taking the request; a partial success is one too."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GrpcAnswer:
    """What a GrpcReceiver says instead of taking the request; without a code it is ``response``."""

    code: grpc.StatusCode | None = None
    text: str = ""
    trailers: tuple[tuple[str, str | bytes], ...] = ()
    response: ExportTraceServiceResponse = field(default_factory=ExportTraceServiceResponse)


class Receiver:
    """What both receivers have in common; ``headers`` holds those of each accepted request."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.attempts = 0
        self._refusal: Any = None
        self._changed = threading.Condition()
        self._open = threading.Event()
        self._open.set()

    def refuse(self, status: Any) -> None:
        """Answer with this status from now on."""
        self._refusal = status

    def hold(self) -> None:
        """Accept requests and answer nothing until ``accept`` or the end."""
        self._open.clear()

    def accept(self) -> None:
        """Answer as a healthy collector again, also those who wait."""
        self._refusal = None
        self._open.set()

    @property
    def spans(self) -> list[tuple[ResourceSpans, ScopeSpans, Span]]:
        """Every received span with its resource and scope, as protobuf, in the order of arrival."""
        with self._changed:
            return [
                (of_resource, of_scope, span)
                for request in self.requests
                for of_resource in request.resource_spans
                for of_scope in of_resource.scope_spans
                for span in of_scope.spans
            ]

    def received(self) -> list[dict[str, Any]]:
        """Every received span as a plain dict."""
        return [plain(*parts) for parts in self.spans]

    def wait_for(self, count: int, timeout: float = 30.0) -> list[dict[str, Any]]:
        """Wait until ``count`` spans are here and return all; fail with their names if they don't come."""
        self._wait(lambda: len(self.spans) >= count, timeout)
        spans = self.received()
        assert len(spans) >= count, f"{len(spans)} of {count} spans came: {[span['name'] for span in spans]}"
        return spans

    def wait_for_attempts(self, count: int, timeout: float = 30.0) -> None:
        """Wait until ``count`` requests have come, whatever was answered."""
        self._wait(lambda: self.attempts >= count, timeout)
        assert self.attempts >= count

    def _wait(self, condition: Any, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(condition, timeout)

    def _take(self, request: ExportTraceServiceRequest, headers: dict[str, str]) -> Any:
        """Return the status to refuse with, or None."""
        with self._changed:
            self.attempts += 1
            self._changed.notify_all()
        self._open.wait(HELD_FOR_AT_MOST_SECONDS)
        if self._refusal is None:
            with self._changed:
                self.requests.append(request)
                self.headers.append(headers)
                self._changed.notify_all()
        return self._refusal


class _Server(ThreadingHTTPServer):
    request_queue_size = 1_000  # as many clients may connect at once


class HttpReceiver(Receiver):
    """OTLP over HTTP with protobuf, plain or compressed. ``paths`` are those that were posted to."""

    def __init__(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.paths: list[str] = []
        self.connections = 0
        handler = type("Handler", (_HttpHandler,), {"receiver": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.endpoint = f"http{'s' * (tls is not None)}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        self._server.shutdown()
        self._server.socket.close()
        self._thread.join()


class _HttpHandler(BaseHTTPRequestHandler):
    receiver: HttpReceiver
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.receiver.connections += 1

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # a client that does not trust our certificate, or is gone
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match self.headers.get("Content-Encoding"):
            case "gzip":
                body = gzip.decompress(body)
            case "deflate":
                body = zlib.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        refusal = self.receiver._take(ExportTraceServiceRequest.FromString(body), headers)
        self.receiver.paths.append(self.path)
        answer = ExportTraceServiceResponse().SerializeToString()
        if not isinstance(refusal, HttpAnswer):
            refusal = HttpAnswer(refusal or 200, answer, "application/x-protobuf")
        try:
            self.send_response(refusal.status)
            self.send_header("Content-Type", refusal.content_type)
            self.send_header("Content-Length", str(len(refusal.body)))
            for name, value in refusal.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(refusal.body)
        except OSError:  # the client did not wait for the answer
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class GrpcReceiver(Receiver, TraceServiceServicer):
    """OTLP over gRPC, with the limit of 4 MiB that all servers have by default."""

    def __init__(self, port: int = 0, *, tls: grpc.ServerCredentials | None = None) -> None:
        super().__init__()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        add_TraceServiceServicer_to_server(self, self._server)
        address = f"127.0.0.1:{port}"
        if tls is None:
            self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port(address)}"
        else:
            self.endpoint = f"https://127.0.0.1:{self._server.add_secure_port(address, tls)}"

    def Export(self, request, context):  # noqa: N802  gRPC's name
        """Answer one export."""
        headers = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        refusal = self._take(request, headers)
        if isinstance(refusal, grpc.StatusCode):
            refusal = GrpcAnswer(refusal, "refused by the test")
        if refusal is None:
            return ExportTraceServiceResponse()
        context.set_trailing_metadata(refusal.trailers)
        if refusal.code is not None:
            context.abort(refusal.code, refusal.text)
        return refusal.response

    def break_off(self) -> None:
        """Stop at once; requests that wait get no answer."""
        self._server.stop(0)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        self._server.stop(None).wait()


@contextlib.contextmanager
def receive_bodies(*, keep: int | None = None) -> Iterator[tuple[str, deque[bytes]]]:
    """Serve HTTP for a block, whatever the signal; give the address, and all bodies or the last ``keep``."""
    bodies: deque[bytes] = deque(maxlen=keep)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()


class WireReceiver:
    """Whatever else may listen at an endpoint: ``talk`` is called with each connection, in a thread of its own."""

    def __init__(self, talk: Callable[[socket.socket], object], *, tls: ssl.SSLContext | None = None) -> None:
        self._talk = talk
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = self._listening.getsockname()[1]
        self.endpoint = f"http{'s' * (tls is not None)}://127.0.0.1:{self.port}"
        self.connections = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other side is gone
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            self._talk(connection)


def read_http_request(connection: socket.socket) -> bytes:
    """Read one HTTP request with a body of known length; give its head."""
    with connection.makefile("rb") as stream:
        head = b"".join(iter(stream.readline, b"\r\n"))
        length = next(
            (int(line.partition(b":")[2]) for line in head.splitlines() if line.lower().startswith(b"content-length")),
            0,
        )
        stream.read(length)
    return head


def reset(connection: socket.socket) -> None:
    """Close a connection as a host that crashed does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def plain(of_resource: ResourceSpans, of_scope: ScopeSpans, span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "status": Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        "status_message": span.status.message,
        "attributes": _mapping(span.attributes),
        "scope": (of_scope.scope.name, of_scope.scope.version),
        "resource": _mapping(of_resource.resource.attributes),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
    }


def _mapping(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs if isinstance(pair, KeyValue)}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _mapping(value.kvlist_value.values)
        case kind:
            return getattr(value, kind)
