"""Real OTLP receivers on loopback: they answer as a collector does and keep what they got.

    with HttpReceiver() as receiver:
        configure(endpoint=receiver.endpoint)
        ...
        assert [span["name"] for span in receiver.wait_for(3)] == [...]

``receiver.refuse(503)`` (HTTP status) or ``receiver.refuse(grpc.StatusCode.UNAVAILABLE)`` makes it refuse from now on,
``receiver.hold()`` makes it keep every request waiting, ``receiver.accept()`` ends both.
"""

import gzip
import threading
import zlib
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
        return [_plain(*parts) for parts in self.spans]

    def wait_for(self, count: int, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Wait until ``count`` spans are here and return all; fail with their names if they don't come."""
        self._wait(lambda: len(self.spans) >= count, timeout)
        spans = self.received()
        assert len(spans) >= count, f"{len(spans)} of {count} spans came: {[span['name'] for span in spans]}"
        return spans

    def wait_for_attempts(self, count: int, timeout: float = 10.0) -> None:
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


class HttpReceiver(Receiver):
    """OTLP over HTTP with protobuf, plain or compressed. ``paths`` are those that were posted to."""

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self.paths: list[str] = []
        handler = type("Handler", (_HttpHandler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

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
        try:
            self.send_response(refusal or 200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:  # the client did not wait for the answer
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class GrpcReceiver(Receiver, TraceServiceServicer):
    """OTLP over gRPC."""

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        add_TraceServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"

    def Export(self, request, context):  # noqa: N802  gRPC's name
        """Answer one export."""
        headers = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        refusal = self._take(request, headers)
        if refusal is not None:
            context.abort(refusal, "refused by the test")
        return ExportTraceServiceResponse()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        self._server.stop(None).wait()


def _plain(of_resource: ResourceSpans, of_scope: ScopeSpans, span: Span) -> dict[str, Any]:
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
