"""Spans grouped into requests that are small enough for their receiver."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.trace import ReadableSpan

from runspan.export.packing.encoding import encode
from runspan.export.packing.marking import is_marked
from runspan.export.packing.shortening import shorten
from runspan.export.request import Request

# Tag and length before a field, at most.
_FRAME = 6


class Packed(NamedTuple):
    """Spans on their way.

    Args:
        requests: What holds them, in their order; spans of one resource and scope stand together.
        not_encodable: How many spans OTLP can't express; they are in no request.
        reason: Why the first of those is in none.
    """

    requests: list[Request]
    not_encodable: int = 0
    reason: str = ""


def pack(spans: Sequence[ReadableSpan], limit: int) -> Packed:
    """Encode spans into requests of at most ``limit`` bytes each; a span that alone is larger is shortened."""
    message, body, not_encodable, reason = encode(spans)
    count = len(spans) - not_encodable
    if len(body) <= limit:
        return Packed([Request(body, count)] if count else [], not_encodable, reason)
    return Packed([*_smaller(message, limit)], not_encodable, reason)


def split(request: Request, limit: int) -> list[Request]:
    """Make requests of at most ``limit`` bytes of one that is too large; one that can't be read stays as it is."""
    if len(request.body) <= limit:
        return [request]
    try:
        message = ExportTraceServiceRequest.FromString(request.body)
    except DecodeError:  # from a spool that was damaged
        return [request]
    return [*_smaller(message, limit)]


def _smaller(message: ExportTraceServiceRequest, limit: int) -> Iterator[Request]:
    filling = _Filling(limit)
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if not filling.add(resource_spans, scope_spans, span):
                    yield from filling.take()
                    filling.add(resource_spans, scope_spans, span)
    yield from filling.take()


class _Filling:
    """A request that takes spans until the next one would make it too large."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._start()

    def _start(self) -> None:
        self._message = ExportTraceServiceRequest()
        self._size = self._spans = self._shortened = 0
        self._resource_spans: ResourceSpans | None = None
        self._scope_spans: ScopeSpans | None = None

    def add(self, resource_spans: ResourceSpans, scope_spans: ScopeSpans, span: Span) -> bool:
        """Take a span with its resource and scope; tell if there was no room. An empty request takes any span."""
        size = _FRAME + span.ByteSize()
        is_new_resource = resource_spans is not self._resource_spans
        if is_new_resource:
            head = ResourceSpans(resource=resource_spans.resource, schema_url=resource_spans.schema_url)
            size += _FRAME + head.ByteSize()
        is_new_scope = is_new_resource or scope_spans is not self._scope_spans
        if is_new_scope:
            scope_head = ScopeSpans(scope=scope_spans.scope, schema_url=scope_spans.schema_url)
            size += _FRAME + scope_head.ByteSize()
        if self._spans and self._size + size > self._limit:
            return False
        if is_new_resource:
            self._message.resource_spans.append(head)
        if is_new_scope:
            self._message.resource_spans[-1].scope_spans.append(scope_head)
        self._message.resource_spans[-1].scope_spans[-1].spans.append(span)
        self._resource_spans, self._scope_spans = resource_spans, scope_spans
        self._size += size
        self._spans += 1
        self._shortened += is_marked(span)
        return True

    def take(self) -> Iterator[Request]:
        """Return the request, unless it is empty, and begin the next one."""
        if self._spans:
            yield self._request()
        self._start()

    def _request(self) -> Request:
        body = self._message.SerializeToString()
        if len(body) <= self._limit:
            return Request(body, self._spans, self._shortened)
        return Request(shorten(self._message, self._limit).SerializeToString(), 1, 1)
