"""A span that is larger than a request may be, made smaller: its content first, so that what it is about survives."""

from collections.abc import MutableSequence
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from runspan.export.attributes import Attributes
from runspan.export.cutting import PLAIN, SHORT
from runspan.export.sharing import Part, share
from runspan.export.sizes import framed

# to semconv
SHORTENED: Final = "runspan.shortened"
ORIGINAL_SIZE: Final = "runspan.shortened.original_size"

_MOST_FOR_MARK: Final = 4096
_LEAST_OF_EVENT: Final = 2 * SHORT


def shorten(request: ExportTraceServiceRequest, limit: int) -> ExportTraceServiceRequest:
    """Return a request of one span that takes at most so many bytes, and whose span tells what was cut.

    In it are the names of the attributes that were cut, and how large it was; see ``SHORTENED``, ``ORIGINAL_SIZE``.
    """
    ((span,),) = ([*of_scope.spans] for each in request.resource_spans for of_scope in each.scope_spans)
    cut, original_size = _unmarked(span)
    reserve = min(_MOST_FOR_MARK, limit // 4)
    _Shortening(request.resource_spans[0], cut).fit(request.ByteSize(), limit - reserve)
    _mark(span, cut, original_size, limit - request.ByteSize())
    return request if request.ByteSize() <= limit else _bare(request.resource_spans[0], span, original_size)


def is_shortened(span: Span) -> bool:
    """Tell whether a span bears the mark, which stands at the end."""
    return any(attribute.key == SHORTENED for attribute in span.attributes[-2:])


class _Shortening:
    """Makes one span smaller, with the resource and scope that it goes with."""

    def __init__(self, resource_spans: ResourceSpans, cut: list[str]) -> None:
        self._resource_spans = resource_spans
        self._cut = cut

    def fit(self, size: int, room: int) -> None:
        scope_spans = self._resource_spans.scope_spans[0]
        span = scope_spans.spans[0]
        attributes = Attributes(span.attributes, self._cut)
        size -= attributes.leave_out_media(size - room)
        parts = [
            self._text(span, "name", "name"),
            self._text(span.status, "message", "status.message"),
            attributes.part(),
            self._several(span.events, "events"),
            self._several(span.links, "links"),
            Attributes(self._resource_spans.resource.attributes, self._cut).part(),
            Attributes(scope_spans.scope.attributes, self._cut).part(),
        ]
        counts = len(span.events), len(span.links)
        share(parts, room - size + sum(part.size for part in parts))
        span.dropped_attributes_count += attributes.dropped
        span.dropped_events_count += counts[0] - len(span.events)
        span.dropped_links_count += counts[1] - len(span.links)

    def _text(self, owner: Span | Span.Event | Status, field: str, told_as: str) -> Part:
        def fit(room: int) -> int:
            setattr(owner, field, PLAIN.cut(getattr(owner, field), room))
            self._cut.append(told_as)
            return PLAIN.size(getattr(owner, field))

        return Part(PLAIN.size(getattr(owner, field)), fit)

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
                parts.append(self._text(item, "name", "event.name"))
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


def _unmarked(span: Span) -> tuple[list[str], int]:
    """Return what was cut, and how large the span was, also if that was done before; the mark is taken off."""
    cut: list[str] = []
    size = span.ByteSize()
    for position in reversed(range(len(span.attributes))):
        attribute = span.attributes[position]
        if attribute.key == SHORTENED:
            cut = [value.string_value for value in attribute.value.array_value.values]
        elif attribute.key == ORIGINAL_SIZE:
            size = attribute.value.int_value
        else:
            continue
        del span.attributes[position]
    return cut, size


def _mark(span: Span, cut: list[str], original_size: int, room: int) -> None:
    size = KeyValue(key=ORIGINAL_SIZE, value=AnyValue(int_value=original_size))
    names = KeyValue(key=SHORTENED, value=AnyValue(array_value=ArrayValue()))
    # 16 for lengths that grow, 32 for the last one, which tells how many there is no room for.
    room = min(room, _MOST_FOR_MARK) - framed(size.ByteSize()) - framed(names.ByteSize()) - 16 - 32
    distinct = [*dict.fromkeys(cut)]
    for position, name in enumerate(distinct):
        value = AnyValue(string_value=name if PLAIN.size(name) <= SHORT else PLAIN.cut(name, SHORT))
        room -= framed(value.ByteSize())
        if room < 0:
            value = AnyValue(string_value=f"… [{len(distinct) - position:,} more]")
        names.value.array_value.values.append(value)
        if room < 0:
            break
    span.attributes.extend([names, size])


def _bare(resource_spans: ResourceSpans, span: Span, original_size: int) -> ExportTraceServiceRequest:
    """Return what is left of a span if nothing else helps: where it stands in its trace, when it was, how it ended."""
    bare = Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        flags=span.flags,
        name=PLAIN.cut(span.name, SHORT) if PLAIN.size(span.name) > SHORT else span.name,
        kind=span.kind,
        start_time_unix_nano=span.start_time_unix_nano,
        end_time_unix_nano=span.end_time_unix_nano,
        dropped_attributes_count=span.dropped_attributes_count + len(span.attributes),
        dropped_events_count=span.dropped_events_count + len(span.events),
        dropped_links_count=span.dropped_links_count + len(span.links),
        status=Status(code=span.status.code),
    )
    _mark(bare, ["attributes", "events", "links", "resource"], original_size, _MOST_FOR_MARK)
    bare_resource = ResourceSpans(scope_spans=[ScopeSpans(spans=[bare])])
    bare_resource.resource.attributes.extend(
        attribute
        for attribute in resource_spans.resource.attributes
        if attribute.key == "service.name" and attribute.ByteSize() <= SHORT
    )
    return ExportTraceServiceRequest(resource_spans=[bare_resource])
