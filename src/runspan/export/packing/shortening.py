"""A span that is larger than a request may be, made smaller: its content first, so that what it is about survives."""

from collections.abc import MutableSequence
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from runspan.export.packing.attributes import Attributes
from runspan.export.packing.cutting import PLAIN, SHORT
from runspan.export.packing.marking import MOST_FOR_MARK, mark, unmark
from runspan.export.packing.sharing import Part, share
from runspan.export.packing.sizes import framed

# What an event or a link needs to be of any use.
_LEAST_OF_EVENT: Final = 2 * SHORT


def shorten(request: ExportTraceServiceRequest, limit: int) -> ExportTraceServiceRequest:
    """Return a request of one span that takes at most so many bytes; the one given is used up.

    A span needs some 350 bytes; of one that nothing else helps, name, ids, times, status and mark remain.
    """
    ((span,),) = ([*of_scope.spans] for each in request.resource_spans for of_scope in each.scope_spans)
    cut, original_size = unmark(span)
    reserve = min(MOST_FOR_MARK, limit // 4)
    _Shortening(request, cut).fit(limit - reserve)
    mark(span, cut, original_size, limit - request.ByteSize())
    return request if request.ByteSize() <= limit else _bare(request.resource_spans[0], span, original_size)


class _Shortening:
    """Makes one span smaller, with the resource and scope that it goes with."""

    def __init__(self, request: ExportTraceServiceRequest, cut: list[str]) -> None:
        self._request = request
        self._cut = cut

    def fit(self, room: int) -> None:
        resource_spans = self._request.resource_spans[0]
        scope_spans = resource_spans.scope_spans[0]
        span = scope_spans.spans[0]
        attributes = Attributes(span.attributes, self._cut)
        attributes.leave_out_media(self._request.ByteSize() - room)
        parts = [
            self._name(span, "name"),
            self._message(span.status),
            attributes.part(),
            self._several(span.events, "events"),
            self._several(span.links, "links"),
            Attributes(resource_spans.resource.attributes, self._cut).part(),
            Attributes(scope_spans.scope.attributes, self._cut).part(),
        ]
        counts = len(span.events), len(span.links)
        share(parts, room - self._request.ByteSize() + sum(part.size for part in parts))
        span.dropped_attributes_count += attributes.dropped
        span.dropped_events_count += counts[0] - len(span.events)
        span.dropped_links_count += counts[1] - len(span.links)

    def _name(self, owner: Span | Span.Event, told_as: str) -> Part:
        def fit(room: int) -> int:
            owner.name = self._text(owner.name, room, told_as)
            return PLAIN.size(owner.name)

        return Part(PLAIN.size(owner.name), fit)

    def _message(self, status: Status) -> Part:
        def fit(room: int) -> int:
            status.message = self._text(status.message, room, "status.message")
            return PLAIN.size(status.message)

        return Part(PLAIN.size(status.message), fit)

    def _text(self, text: str, room: int, told_as: str) -> str:
        if PLAIN.size(text) <= SHORT:
            return text
        self._cut.append(told_as)
        return PLAIN.cut(text, room)

    def _several(self, items: MutableSequence[Span.Event] | MutableSequence[Span.Link], told_as: str) -> Part:
        def fit(room: int) -> int:
            sizes = [min(framed(item.ByteSize()), _LEAST_OF_EVENT) for item in items]
            head, tail = _ends(sizes, room)
            if head + tail < len(items):
                del items[head : len(items) - tail]
                self._cut.append(told_as)
            return share([self._one(item) for item in items], room)

        return Part(sum(framed(item.ByteSize()) for item in items), fit)

    def _one(self, item: Span.Event | Span.Link) -> Part:
        size = framed(item.ByteSize())

        def fit(room: int) -> int:
            attributes = Attributes(item.attributes, self._cut)
            parts = [attributes.part()]
            if isinstance(item, Span.Event):
                parts.append(self._name(item, "event.name"))
            share(parts, room - size + sum(part.size for part in parts))
            item.dropped_attributes_count += attributes.dropped
            return framed(item.ByteSize())

        return Part(size, fit, min(size, _LEAST_OF_EVENT))


def _ends(sizes: list[int], room: int) -> tuple[int, int]:
    """Return how many fit from the start and from the end on, if those in the middle are left out."""
    head = tail = 0
    while head + tail < len(sizes):
        position = head if head <= tail else len(sizes) - 1 - tail
        room -= sizes[position]
        if room < 0:
            break
        head, tail = (head + 1, tail) if head <= tail else (head, tail + 1)
    return head, tail


def _bare(resource_spans: ResourceSpans, span: Span, original_size: int) -> ExportTraceServiceRequest:
    """Return what is left of a span if nothing else helps: where it stands in its trace, when it was, how it ended."""
    unmark(span)
    bare = Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        flags=span.flags,
        name=span.name if PLAIN.size(span.name) <= SHORT else PLAIN.cut(span.name, SHORT),
        kind=span.kind,
        start_time_unix_nano=span.start_time_unix_nano,
        end_time_unix_nano=span.end_time_unix_nano,
        dropped_attributes_count=span.dropped_attributes_count + len(span.attributes),
        dropped_events_count=span.dropped_events_count + len(span.events),
        dropped_links_count=span.dropped_links_count + len(span.links),
        status=Status(code=span.status.code),
    )
    mark(bare, ["attributes", "events", "links", "resource"], original_size, MOST_FOR_MARK)
    bare_resource = ResourceSpans(scope_spans=[ScopeSpans(spans=[bare])])
    bare_resource.resource.attributes.extend(
        attribute
        for attribute in resource_spans.resource.attributes
        if attribute.key == "service.name" and attribute.ByteSize() <= SHORT
    )
    return ExportTraceServiceRequest(resource_spans=[bare_resource])
