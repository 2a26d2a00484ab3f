"""Both servers: HTTP for the page and OTLP, gRPC for OTLP alone."""

import errno
import logging
import socket
import sqlite3
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Final

import grpc
import uvicorn
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import add_LogsServiceServicer_to_server
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import add_MetricsServiceServicer_to_server
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from runspan.recording.otlp_file import read_recording
from runspan.viewer.server.app import MAX_BODY_BYTES, make_app
from runspan.viewer.server.not_kept import LogsReceiver, MetricsReceiver
from runspan.viewer.server.port_owner import port_owner
from runspan.viewer.store import STORE_FAILED, TraceStore

_GRPC_THREADS: Final = 4
_HIGHEST_PORT: Final = 65_535

_log = logging.getLogger(__name__)


def serve(
    store: TraceStore,
    *,
    host: str,
    port: int,
    grpc_port: int,
    hosts: Iterable[str],
    started: Callable[[str], object],
) -> None:
    """Receive and show traces until the process is interrupted.

    Args:
        store: where they are kept.
        host: the address to listen on.
        port: for the page and OTLP over HTTP.
        grpc_port: for OTLP over gRPC; 0 for none.
        hosts: further names of the server.
        started: is called with the URL of the page once both ports are open.

    Raises:
        ValueError: if a port is taken or the host is none; it names who has the port, and the way out.
    """
    listening = _bound(host, port, "--port")
    if grpc_port:
        _bound(host, grpc_port, "--grpc-port").close()
    config = uvicorn.Config(
        make_app(store, [host, *hosts]), log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    receiver = _grpc_server(store, f"{f'[{host}]' if ':' in host else host}:{grpc_port}") if grpc_port else None
    shown = f"[{host}]" if ":" in host else host
    started(f"http://{shown}:{listening.getsockname()[1]}/")
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        if receiver is not None:
            receiver.stop(1).wait()


class _Receiver(TraceServiceServicer):
    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def Export(  # noqa: N802  gRPC's name
        self,
        request: ExportTraceServiceRequest,
        context: grpc.ServicerContext,
    ) -> ExportTraceServiceResponse:
        try:
            self._store.add(read_recording([request]))
        except sqlite3.Error as error:
            _log.error(STORE_FAILED, error)
            context.abort(grpc.StatusCode.UNAVAILABLE, STORE_FAILED % error)  # an exporter sends again
        return ExportTraceServiceResponse()


def _grpc_server(store: TraceStore, address: str) -> grpc.Server:
    options = [("grpc.max_receive_message_length", MAX_BODY_BYTES), ("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(_GRPC_THREADS), options=options)
    add_TraceServiceServicer_to_server(_Receiver(store), server)  # type: ignore[no-untyped-call]  # it is generated
    add_MetricsServiceServicer_to_server(MetricsReceiver(), server)  # type: ignore[no-untyped-call]  # likewise
    add_LogsServiceServicer_to_server(LogsReceiver(), server)  # type: ignore[no-untyped-call]  # likewise
    server.add_insecure_port(address)
    server.start()
    return server


def _bound(host: str, port: int, option: str) -> socket.socket:
    if not host:  # which would be all addresses
        raise ValueError("--host is empty; give an address, such as 127.0.0.1.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno != errno.EADDRINUSE:
            raise ValueError(f"Port {port} of {host} can't be opened: {error.strerror}.") from error
        owner, other = port_owner(port), port + 10_000 if port < _HIGHEST_PORT - 10_000 else port - 10_000
        raise ValueError(
            f"Port {port} is taken{f' by {owner}' if owner else ''}. End that (a compose set-up: docker compose down),"
            f" or choose another: {option} {other}, and point OTEL_EXPORTER_OTLP_ENDPOINT there."
        ) from error
    return listening
