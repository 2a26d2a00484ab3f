"""The page, live, and the receiver of OTLP over HTTP: one application on one port."""

import asyncio
import logging
import sqlite3
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import orjson
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runspan.recording.otlp_file import read_recording
from runspan.recording.recorded_span import RecordedSpan, spans_of_json
from runspan.viewer.media import embed_media
from runspan.viewer.page import live_page
from runspan.viewer.server.not_kept import answer_logs, answer_metrics
from runspan.viewer.store import STORE_FAILED, TraceStore

MAX_BODY_BYTES: Final = 64 * 1024**2

_LOCAL: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_MOST_LISTED: Final = 1000
_NEWS_SECONDS: Final = 0.5
_PROTOBUF: Final = "application/x-protobuf"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
# What JSON of another shape runs into.
_WRONG_SHAPE: Final = (AttributeError, KeyError, TypeError, ValueError, RecursionError, DecodeError, ParseError)
_T = TypeVar("_T")
_Request = TypeVar("_Request", ExportMetricsServiceRequest, ExportLogsServiceRequest)

_log = logging.getLogger(__name__)


def make_app(store: TraceStore, hosts: Iterable[str] = ()) -> Starlette:
    """Return the application.

    Args:
        store: where traces are put and read.
        hosts: names by which the server may be called, beside those of this machine's loopback.
    """
    views = _Views(store)
    return Starlette(
        routes=[
            Route("/", views.page),
            Route("/api/traces", views.traces),
            Route("/api/traces/{id}", views.trace),
            Route("/api/traces/{id}/otlp", views.otlp),
            Route("/api/news", views.news),
            Route("/v1/traces", views.receive, methods=["POST"]),
            Route("/v1/metrics", _not_kept(ExportMetricsServiceRequest, answer_metrics), methods=["POST"]),
            Route("/v1/logs", _not_kept(ExportLogsServiceRequest, answer_logs), methods=["POST"]),
        ],
        middleware=[Middleware(_OwnPagesOnly, hosts=_LOCAL | {each.lower() for each in hosts})],
        exception_handlers={sqlite3.Error: _store_failed},
    )


async def _store_failed(_: Request, error: Exception) -> Response:
    # An exporter sends again after a 503.
    _log.error(STORE_FAILED, error)
    return PlainTextResponse(f"{STORE_FAILED % error}\n", 503)


class _OwnPagesOnly:
    """Refuse what a page of another site sends, also under a name that it has led here (DNS rebinding)."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (reason := self._refusal(Request(scope))):
            await PlainTextResponse(reason, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> str:
        host = request.headers.get("host", "")
        name = _host_name(f"//{host}")
        if name not in self._hosts:
            return f"This server is not known as {name!r}. Start it with --allow-host {name} if that is meant.\n"
        origin = request.headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return "Pages of other sites may not call this server.\n"
        # A link that is followed to the page does no harm.
        is_followed = request.headers.get("sec-fetch-mode") == "navigate" and request.method == "GET"
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site") and not is_followed:
            return "Pages of other sites may not call this server.\n"
        return ""


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class _Views:
    def __init__(self, store: TraceStore) -> None:
        self._store = store
        self._page = live_page()

    async def page(self, _: Request) -> Response:
        return HTMLResponse(self._page, headers=_HEADERS)

    async def traces(self, request: Request) -> Response:
        search, limit = request.query_params.get("search", ""), request.query_params.get("limit", "")
        most = int(limit[:9]) if limit.isdecimal() else _MOST_LISTED
        found = self._store.summaries(search=search, limit=min(most, _MOST_LISTED))
        return _json(await run_in_threadpool(list, found))

    async def trace(self, request: Request) -> Response:
        found = await run_in_threadpool(self._store.trace, request.path_params["id"])
        if found is None:
            return PlainTextResponse("There is no such trace.\n", 404)
        return _json(await run_in_threadpool(embed_media, found))

    async def otlp(self, request: Request) -> Response:
        lines = await run_in_threadpool(self._store.lines, request.path_params["id"])
        return Response(b"".join(lines), media_type="application/json", headers=_HEADERS)

    async def news(self, _: Request) -> Response:
        return StreamingResponse(self._changes(), media_type="text/event-stream", headers=_HEADERS)

    async def _changes(self) -> AsyncIterator[bytes]:
        last, _ = await run_in_threadpool(self._store.changes, 0)
        yield b": these are the ids of traces that change\n\n"
        while True:
            await asyncio.sleep(_NEWS_SECONDS)
            last, changed = await run_in_threadpool(self._store.changes, last)
            yield b"data: " + orjson.dumps(changed) + b"\n\n" if changed else b":\n\n"

    async def receive(self, request: Request) -> Response:
        return await _answered(request, lambda body, content_type: _READERS[content_type](body), self._keep)

    def _keep(self, spans: list[RecordedSpan]) -> Message:
        self._store.add(spans)
        return ExportTraceServiceResponse()


def _not_kept(kind: type[_Request], answer: Callable[[_Request], Message]) -> Callable[[Request], Awaitable[Response]]:
    def read(body: bytes, content_type: str) -> _Request:
        if content_type == _PROTOBUF:
            return kind.FromString(body)
        return ParseDict(orjson.loads(body), kind(), ignore_unknown_fields=True)

    async def receive(request: Request) -> Response:
        return await _answered(request, read, answer)

    return receive


async def _answered(request: Request, read: Callable[[bytes, str], _T], answer: Callable[[_T], Message]) -> Response:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in _READERS:
        return PlainTextResponse(f"Send OTLP as {' or '.join(_READERS)}.\n", 415)
    try:
        given = await run_in_threadpool(read, await _body(request), content_type)
    except _TooLargeError:
        return PlainTextResponse(f"A request may have at most {MAX_BODY_BYTES} bytes.\n", 413)
    except ClientDisconnect:
        return Response(status_code=400)
    except _WRONG_SHAPE as error:
        return PlainTextResponse(f"That is no OTLP request ({type(error).__name__}: {error}).\n", 400)
    message = await run_in_threadpool(answer, given)
    is_protobuf = content_type == _PROTOBUF
    return Response(message.SerializeToString() if is_protobuf else MessageToJson(message), media_type=content_type)


class _TooLargeError(Exception):
    """A body is larger than may be."""


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _TooLargeError
    match request.headers.get("content-encoding", "identity").lower():
        case "gzip":
            return _unpacked(bytes(body), zlib.MAX_WBITS | 16)
        case "deflate":
            return _unpacked(bytes(body), zlib.MAX_WBITS)
        case "identity" | "none":
            return bytes(body)
        case other:
            raise ValueError(f"the encoding {other!r} is not known")


def _unpacked(body: bytes, window: int) -> bytes:
    try:
        unpacked = zlib.decompressobj(window).decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(unpacked) > MAX_BODY_BYTES:
        raise _TooLargeError
    return unpacked


def _of_protobuf(body: bytes) -> list[RecordedSpan]:
    return read_recording([ExportTraceServiceRequest.FromString(body)])


def _of_json(body: bytes) -> list[RecordedSpan]:
    return list(spans_of_json(orjson.loads(body)))


_READERS: Final[dict[str, Callable[[bytes], list[RecordedSpan]]]] = {
    _PROTOBUF: _of_protobuf,
    "application/json": _of_json,
}


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json", headers=_HEADERS)
