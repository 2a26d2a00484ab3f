"""A span that is larger than a request may be, made smaller: its content first, so that what it is about survives.

Media become a note, then the longest texts are cut, inside the JSON that they stand in, then lists lose their middle,
then the largest attributes go, then events and links. An attribute names what was cut: attributes, and ``name``,
``status.message``, ``event.name``, ``events``, ``links``.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from runspan.semconv.delivery_names import ORIGINAL_SIZE, SHORTENED

# A text of so many characters is never cut: names, ids and roles stay, and a note would take as much.
SHORT: Final = 96
# A list keeps its first and its last item; an object of so many keys keeps all of them.
_FEWEST_ITEMS: Final = 2
_FEW_KEYS: Final = 64
# An attribute of so many bytes is never dropped.
_SMALL: Final = 64
# What a note takes, in characters, and the mark: for each name that it lists, and for the rest of it, in bytes.
_NOTE: Final = 43
_MARK: Final = 128
_MOST_NAMES: Final = 32
_EARLIER: Final = re.compile(r"… \[(\d[\d,]*) characters left out\]\Z")
_DATA_URL: Final = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_GAP: Final = "…"


def truncate(text: str, length: int) -> str:
    """Return the beginning of a text and a note of what is left out, together at most so many characters.

    A text that fits is returned as it is. The note alone may be longer. One of an earlier time is taken into account.
    """
    if len(text) <= length:
        return text
    left_out = 0
    if earlier := _EARLIER.search(text, max(0, len(text) - SHORT)):
        text, left_out = text[: earlier.start()], int(earlier[1].replace(",", ""))
    kept = text[: max(0, length - _NOTE)]
    return f"{kept}… [{left_out + len(text) - len(kept):,} characters left out]"


def shorten(request: ExportTraceServiceRequest, limit: int) -> ExportTraceServiceRequest:
    """Return a request of one span that takes at most so many bytes; the one given is used up.

    A span needs some 350 bytes; of one that nothing else helps, name, ids, times, status and mark remain.
    """
    resource_spans = request.resource_spans[0]
    scope_spans = resource_spans.scope_spans[0]
    (span,) = scope_spans.spans
    cut, original_size = _unmark(span)
    most_names = min(_MOST_NAMES, limit // 1024)
    room = limit - _MARK * (1 + most_names)
    owners = [span, *span.events, *span.links, resource_spans.resource, scope_spans.scope]
    contents = [*_contents_of(span, owners)]

    def fits(limits: _Limits) -> bool:
        for content in contents:
            content.shorten(limits)
        return request.ByteSize() <= room

    *limits, lowest = _limits(request.ByteSize())
    fits([*limits, lowest][bisect_left(limits, True, key=fits)])  # which leaves it so
    cut += [content.name for content in contents if content.is_cut]
    cut += _drop_attributes(owners, request.ByteSize() - room)
    if request.ByteSize() > room:
        cut += _drop_events_and_links(span)
    _mark(span, cut, original_size, most_names)
    return request if request.ByteSize() <= limit else _bare(request)


def is_shortened(span: Span) -> bool:
    """Return whether a span was made smaller."""
    return [each.key for each in span.attributes[-2:]] == [SHORTENED, ORIGINAL_SIZE]


class _Limits(NamedTuple):
    """What is kept whole: media and texts of so many characters, lists of so many items."""

    medium: int
    text: int
    items: int


def _limits(largest: int) -> list[_Limits]:
    """Return limits, each lower than the one before by a hundredth: first for media, then for texts, then for lists."""
    values = [largest]
    while values[-1] > _FEWEST_ITEMS:
        values.append(min(values[-1] - 1, values[-1] * 99 // 100))
    lengths = [value for value in values if value >= SHORT]
    media = [_Limits(length, largest, largest) for length in lengths]
    texts = [_Limits(SHORT, length, largest) for length in lengths]
    return [*media, *texts, *(_Limits(SHORT, SHORT, items) for items in values)]


class _Content:
    """A text or bytes in a message of protobuf, shortened as often as it takes, each time from what it was."""

    def __init__(self, name: str, message: Any, field: str, *, is_medium: bool = False) -> None:
        self.name = name
        self.is_cut = False
        self._message, self._field, self._is_medium = message, field, is_medium
        self._whole = getattr(message, field)
        self._json = _parsed(self._whole)

    def shorten(self, limits: _Limits) -> None:
        """Keep to the limits."""
        whole = self._whole if self._json is None else self._json
        content = _within(limits, whole, is_medium=self._is_medium)
        was_cut, self.is_cut = self.is_cut, content != whole
        if not self.is_cut:
            content = self._whole
        elif self._json is not None:
            content = orjson.dumps(content).decode()
        if was_cut or self.is_cut:
            field = self._field if isinstance(content, type(self._whole)) else "string_value"
            self._message.MergeFrom(type(self._message)(**{field: content}))


def _contents_of(span: Span, owners: Iterable[Any]) -> Iterator[_Content]:
    """Find what may be shortened."""
    events = [("event.name", event, "name") for event in span.events]
    for name, message, field in (("name", span, "name"), ("status.message", span.status, "message"), *events):
        if len(getattr(message, field)) > SHORT:
            yield _Content(name, message, field)
    for owner in owners:
        for attribute in owner.attributes:
            yield from _contents_in(attribute.value, attribute.key)


def _contents_in(value: AnyValue, name: str, *, is_medium: bool = False) -> Iterator[_Content]:
    """Find what may be shortened in a value of OTLP's."""
    for each in value.array_value.values:
        yield from _contents_in(each, name)
    entries = value.kvlist_value.values
    beside = {entry.key: entry.value.string_value for entry in entries}
    for entry in entries:
        yield from _contents_in(entry.value, name, is_medium=_is_medium(entry.key, beside))
    for field in ("string_value", "bytes_value"):
        if len(getattr(value, field)) > SHORT:
            yield _Content(name, value, field, is_medium=is_medium)


def _parsed(text: str | bytes) -> Any:
    """Return the list, object or text that a text is as JSON, None if it is none or can't be written again."""
    try:
        tree = orjson.loads(text) if isinstance(text, str) else None
        orjson.dumps(tree)  # which is refused for what is nested deeper than 254
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return tree if isinstance(tree, list | dict | str) else None


def _is_medium(key: str, beside: Mapping[str, Any]) -> bool:
    if key in {"content", "data"} and beside.get("type") in ("blob", "base64"):
        return True
    return key in {"data", "base64", "bytes"} and ("mime_type" in beside or "media_type" in beside)


def _within(limits: _Limits, whole: Any, *, is_medium: bool = False) -> Any:
    """Return a text, bytes or JSON as the limits have it."""
    match whole:
        case str() if len(whole) > SHORT:
            return _text_within(limits, whole, is_medium=is_medium)
        case bytes() if len(whole) > limits.medium:
            return f"… [{len(whole):,} bytes left out]"
        case list():
            return [_within(limits, each) for each in _without_middle(whole, limits.items)]
        case dict():
            entries = _without_middle([*whole.items()], max(limits.items, _FEW_KEYS))
            return {key: _within(limits, each, is_medium=_is_medium(key, whole)) for key, each in entries}
    return whole


def _text_within(limits: _Limits, text: str, *, is_medium: bool) -> str:
    url = _DATA_URL.match(text)
    if not (url or is_medium):
        return truncate(text, limits.text)
    head = url[0] if url else ""
    return text if len(text) <= limits.medium else head + truncate(text[len(head) :], 0)


def _without_middle(items: list[Any], most: int) -> list[Any]:
    """Return items of a list or entries of an object without those in the middle; a note says how many they were."""
    if len(items) <= most:
        return items
    head, tail = items[: most - most // 2], items[len(items) - most // 2 :]
    note = f"[{len(items) - most:,} items left out]"
    match head[-1]:
        case {"type": "blob"}:  # the conventions allow no other key in it
            return head + tail
        case dict(last):
            return [*head[:-1], last | {_GAP: note}, *tail]
        case tuple():
            return [*head, (_GAP, note), *tail]
    return [*head, f"{_GAP} {note}", *tail]


def _drop_attributes(owners: Iterable[Any], excess: int) -> list[str]:
    """Drop the largest until so many bytes are saved; return their names."""
    owned = [(each.ByteSize(), at, owner) for owner in owners for at, each in enumerate(owner.attributes)]
    dropped, names = [], []
    for size, at, owner in sorted(owned, key=itemgetter(0), reverse=True):
        if excess > 0 and size > _SMALL:
            excess -= size
            dropped.append((at, owner))
    for at, owner in sorted(dropped, key=itemgetter(0), reverse=True):
        names.append(owner.attributes[at].key)
        owner.dropped_attributes_count += 1
        del owner.attributes[at]
    return names


def _drop_events_and_links(span: Span) -> list[str]:
    """Drop all but the first and the last; return what was dropped."""
    span.dropped_events_count += len(span.events[1:-1])
    span.dropped_links_count += len(span.links[1:-1])
    dropped = [name for name in ("events", "links") if getattr(span, name)[1:-1]]
    del span.events[1:-1], span.links[1:-1]
    return dropped


def _mark(span: Span, cut: Iterable[str], original_size: int, most_names: int) -> None:
    """Say at the end of the attributes what was cut, and how large the span was."""
    names = [truncate(name, SHORT) for name in dict.fromkeys(cut)]
    if len(names) > most_names:
        names[most_names:] = [f"… [{len(names) - most_names:,} more]"]
    listed = span.attributes.add(key=SHORTENED).value.array_value
    listed.values.extend(AnyValue(string_value=name) for name in names)
    span.attributes.add(key=ORIGINAL_SIZE).value.int_value = original_size


def _unmark(span: Span) -> tuple[list[str], int]:
    """Take off the mark of an earlier time; return what was cut, and how large the span was before anything was."""
    if not is_shortened(span):
        return [], span.ByteSize()
    names, size = (attribute.value for attribute in span.attributes[-2:])
    earlier = [name.string_value for name in names.array_value.values], size.int_value
    del span.attributes[-2:]
    return earlier


def _bare(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Return what is left of a span if nothing else helps: where it stands in its trace, when it was, how it ended."""
    resource_spans = request.resource_spans[0]
    (span,) = resource_spans.scope_spans[0].spans
    _, original_size = _unmark(span)
    span.dropped_attributes_count += len(span.attributes)
    span.dropped_events_count += len(span.events)
    span.dropped_links_count += len(span.links)
    for field in ("trace_state", "attributes", "events", "links"):
        span.ClearField(field)
    span.status.message = ""
    _mark(span, ["attributes", "events", "links", "resource"], original_size, 4)
    bare = ExportTraceServiceRequest()
    bare.resource_spans.add().scope_spans.add().spans.append(span)
    bare.resource_spans[0].resource.attributes.extend(
        each for each in resource_spans.resource.attributes if each.key == "service.name" and each.ByteSize() <= _MARK
    )
    return bare
