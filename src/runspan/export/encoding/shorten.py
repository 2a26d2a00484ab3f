"""A span that is larger than a request may be, made smaller: its content first, so that what it is about survives.

Media become a note, then the longest texts are cut, inside the JSON that they stand in, then lists lose their middle,
then the largest attributes go. What was cut is named in an attribute: names of attributes; also ``name``,
``status.message``, ``event.name``, ``events``, ``links``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from runspan.semconv import ORIGINAL_SIZE, SHORTENED

# A text of so many bytes is never cut: names, ids and roles stay, and a note would take as much.
SHORT: Final = 96
# An attribute of so many bytes is never dropped.
_SMALL: Final = 64
_MOST_FOR_MARK: Final = 4096
_EARLIER: Final = re.compile(r"… \[(\d[\d,]*) characters left out\]\Z")
_GAP: Final = "…"


def truncate(text: str, size: int, *, in_json: bool = False) -> str:
    """Return the beginning of a text, at most so many bytes with the note of what is left out; the note alone is more.

    Args:
        text: a text, perhaps one that was truncated before.
        size: in bytes.
        in_json: whether the bytes are those within a string of JSON.
    """
    left_out = 0
    if earlier := _EARLIER.search(text, max(0, len(text) - SHORT)):
        text, left_out = text[: earlier.start()], int(earlier[1].replace(",", ""))
    room = max(0, size - len(_note(10**12).encode()))
    kept = text[:room]
    while (excess := size_of(kept, in_json=in_json) - room) > 0:
        # No character takes more than six bytes.
        kept = kept[: len(kept) - max(1, excess // 6)]
    return kept + _note(left_out + len(text) - len(kept))


def size_of(text: str, *, in_json: bool) -> int:
    """Return what a text takes, in bytes."""
    return len(orjson.dumps(text)) - 2 if in_json else len(text.encode())


def _note(characters: int) -> str:
    return f"… [{characters:,} characters left out]"


class _Text:
    """A text that may be cut, wherever it stands."""

    def __init__(self, name: str, text: str, put: Callable[[str], None], *, in_json: bool, is_medium: bool) -> None:
        self.name = name
        self.text = text
        self.is_medium = is_medium
        self.size = size_of(text, in_json=in_json)
        self._put = put
        self._in_json = in_json

    def leave_out(self) -> int:
        """Put a note in its place, after the head of a data URL; return how many bytes that saves."""
        head = self.text[: self.text.find(",") + 1] if self.text.startswith("data:") else ""
        return self._become(head + truncate(self.text[len(head) :], 0))

    def cut(self, size: int) -> int:
        """Make it so short; return how many bytes that saves."""
        return self._become(truncate(self.text, size, in_json=self._in_json))

    def _become(self, text: str) -> int:
        before, self.text = self.size, text
        self.size = size_of(text, in_json=self._in_json)
        self._put(text)
        return before - self.size


class _Bytes(_Text):
    """Bytes, which are left out or stay."""

    def __init__(self, name: str, value: AnyValue) -> None:
        super().__init__(name, "", _value_putter(value), in_json=False, is_medium=True)
        self.size = len(value.bytes_value)

    def leave_out(self) -> int:
        """Put a note in their place."""
        return self._become(f"… [{self.size:,} bytes left out]")


class _Document:
    """JSON in an attribute."""

    def __init__(self, attribute: KeyValue, root: Any) -> None:
        self.attribute = attribute
        self.holder = [root]

    def save(self) -> None:
        self._write(self.holder[0])

    def drop_middle(self, most: int) -> None:
        """Leave no more than so many items of each list, the first and the last ones."""
        self._write(_without_middle(self.holder[0], most))

    def _write(self, root: Any) -> None:
        self.attribute.value.string_value = orjson.dumps(root).decode()


def shorten(request: ExportTraceServiceRequest, limit: int) -> ExportTraceServiceRequest:
    """Return a request of one span that takes at most so many bytes; the one given is used up.

    A span needs some 350 bytes; of one that nothing else helps, name, ids, times, status and mark remain.
    """
    ((span,),) = ([*of_scope.spans] for each in request.resource_spans for of_scope in each.scope_spans)
    cut, original_size = _unmark(span)
    _Shortening(request, span, cut, limit - min(_MOST_FOR_MARK, limit // 4)).run()
    _mark(span, cut, original_size, limit - request.ByteSize())
    return request if request.ByteSize() <= limit else _bare(request.resource_spans[0], span, original_size)


def is_shortened(span: Span) -> bool:
    """Tell whether a span was made smaller."""
    return any(attribute.key == SHORTENED for attribute in span.attributes[-2:])


class _Shortening:
    """Makes one span smaller, with the resource and scope that it goes with."""

    def __init__(self, request: ExportTraceServiceRequest, span: Span, cut: list[str], room: int) -> None:
        self._request, self._span, self._cut, self._room = request, span, cut, room
        resource_spans = request.resource_spans[0]
        self._owners: list[Any] = [span, *span.events, *span.links]
        self._others: list[Any] = [resource_spans.resource, resource_spans.scope_spans[0].scope]
        self._documents: list[_Document] = []

    @property
    def _excess(self) -> int:
        return self._request.ByteSize() - self._room

    def run(self) -> None:
        """Do what is needed, and no more."""
        texts = [text for text in self._texts() if text.size > SHORT]
        self._leave_out_media(texts)
        self._cut_longest(texts)
        self._drop_middles()
        self._drop_attributes()
        self._drop_events_and_links()

    def _texts(self) -> Iterator[_Text]:
        yield _name_of(self._span, "name")
        yield _Text("status.message", self._span.status.message, self._put_message, in_json=False, is_medium=False)
        for event in self._span.events:
            yield _name_of(event, "event.name")
        for owner in (*self._owners, *self._others):
            for attribute in owner.attributes:
                yield from self._texts_of(attribute)

    def _put_message(self, text: str) -> None:
        self._span.status.message = text

    def _texts_of(self, attribute: KeyValue) -> Iterator[_Text]:
        root = _json_in(attribute.value.string_value)
        if root is None:
            yield from _texts_in_value(attribute.key, attribute.value)
        else:
            document = _Document(attribute, root)
            self._documents.append(document)
            yield from _texts_in_json(attribute.key, document.holder)

    def _leave_out_media(self, texts: Iterable[_Text]) -> None:
        excess, changed = self._excess, set()
        for medium in sorted((text for text in texts if text.is_medium), key=lambda text: -text.size):
            if excess > 0:
                excess -= medium.leave_out()
                changed.add(medium.name)
        self._save(changed)

    def _cut_longest(self, texts: Sequence[_Text]) -> None:
        """Cut the longest texts to one length, such that all fits if that can be."""
        sizes = [text.size for text in texts]
        # First as they are, for to write JSON anew may make it shorter by half.
        longest = _longest_allowed(sizes, self._excess)
        self._save({text.name for text in texts if text.size > longest})
        longest = _longest_allowed(sizes, self._excess)
        changed = [text for text in texts if text.size > longest]
        for text in changed:
            text.cut(longest)
        self._save({text.name for text in changed})

    def _save(self, names: set[str]) -> None:
        self._cut += sorted(names.difference(self._cut))
        for document in self._documents:
            if document.attribute.key in names:
                document.save()

    def _drop_middles(self) -> None:
        large = [each for each in self._documents if len(each.attribute.value.string_value) > 2 * SHORT]
        most = max((_longest_list(document.holder[0]) for document in large), default=0)
        while most > 2 and (excess := self._excess) > 0:  # noqa: PLR2004  the first and the last stay
            share = 1 - excess / self._request.ByteSize()
            most = max(2, int(most * min(0.9, max(0.3, share))))
            for document in large:
                if _longest_list(document.holder[0]) > most:
                    document.drop_middle(most)
                    self._cut.append(document.attribute.key)

    def _drop_attributes(self) -> None:
        """Drop the largest until the rest fits."""
        owned = [
            (each.ByteSize(), number, owner)
            for owner in (*self._owners, *self._others)
            for number, each in enumerate(owner.attributes)
        ]
        excess, dropped = self._excess, []
        for size, number, owner in sorted(owned, key=lambda each: -each[0]):
            if excess <= 0 or size <= _SMALL:
                break
            excess -= size
            dropped.append((number, owner))
        for number, owner in sorted(dropped, key=lambda each: -each[0]):
            self._cut.append(owner.attributes[number].key)
            owner.dropped_attributes_count += 1
            del owner.attributes[number]

    def _drop_events_and_links(self) -> None:
        """Drop those in the middle of the larger of the two, until the rest fits."""
        span = self._span
        while (excess := self._excess) > 0 and (span.events or span.links):
            sizes = {name: sum(each.ByteSize() for each in getattr(span, name)) for name in ("events", "links")}
            name = max(sizes, key=lambda name: sizes[name])
            items = getattr(span, name)
            count = min(len(items), 1 + excess * len(items) // (2 * sizes[name] + 1))
            start = (len(items) - count + 1) // 2
            del items[start : start + count]
            if name == "events":
                span.dropped_events_count += count
            else:
                span.dropped_links_count += count
            self._cut.append(name)


def _name_of(owner: Span | Span.Event, name: str) -> _Text:
    def put(text: str) -> None:
        owner.name = text

    return _Text(name, owner.name, put, in_json=False, is_medium=False)


def _longest_allowed(sizes: Iterable[int], excess: int) -> int:
    """Return the length to which the longest must be cut to save so many bytes; never less than a short text's."""
    ordered = sorted(sizes, reverse=True)
    if excess <= 0 or not ordered:
        return max(ordered, default=SHORT)
    total = 0
    for count, size in enumerate(ordered, 1):
        total += size
        longest = (total - excess) // count
        if count == len(ordered) or longest >= ordered[count]:
            return max(SHORT, longest)
    return SHORT


def _json_in(text: str) -> Any:
    """Return the list, dictionary or text that a text is as JSON, None if it is none or can't be written again."""
    if not text[:20].lstrip().startswith(("{", "[", '"')):
        return None
    try:
        root = orjson.loads(text)
        orjson.dumps(root)  # which is refused for what is nested deeper than 254
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return root


def _texts_in_json(name: str, root: list[Any]) -> Iterator[_Text]:
    pending: list[Any] = [root]
    while pending:
        holder = pending.pop()
        for key, each in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(each, str):
                if len(each) > SHORT // 6:
                    yield _Text(name, each, _putter(holder, key), in_json=True, is_medium=_is_medium(each, key, holder))
            elif isinstance(each, list | dict):
                pending.append(each)


def _putter(holder: Any, key: Any) -> Callable[[str], None]:
    def put(text: str) -> None:
        holder[key] = text

    return put


def _texts_in_value(name: str, root: AnyValue) -> Iterator[_Text]:
    """Find the texts of a value of OTLP's; bytes become one when they are left out."""
    pending: list[tuple[AnyValue, str, dict[str, str]]] = [(root, "", {})]
    while pending:
        value, key, beside = pending.pop()
        kind = value.WhichOneof("value")
        if kind == "array_value":
            pending.extend((each, "", {}) for each in value.array_value.values)
        elif kind == "kvlist_value":
            entries = value.kvlist_value.values
            texts = {each.key: each.value.string_value for each in entries}
            pending.extend((each.value, each.key, texts) for each in entries)
        elif kind == "string_value":
            text = value.string_value
            yield _Text(name, text, _value_putter(value), in_json=False, is_medium=_is_medium(text, key, beside))
        elif kind == "bytes_value":
            yield _Bytes(name, value)


def _value_putter(value: AnyValue) -> Callable[[str], None]:
    def put(text: str) -> None:
        value.string_value = text

    return put


def _is_medium(text: str, key: Any, holder: Any) -> bool:
    if text.startswith("data:") and ";base64," in text[:200]:
        return True
    return isinstance(holder, dict) and (
        (key in ("content", "data") and holder.get("type") in ("blob", "base64"))
        or (key in ("data", "base64", "bytes") and ("mime_type" in holder or "media_type" in holder))
    )


def _longest_list(tree: Any) -> int:
    inner = tree if isinstance(tree, list) else tree.values() if isinstance(tree, dict) else ()
    longest = max((_longest_list(each) for each in inner), default=0)
    return max(longest, len(tree)) if isinstance(tree, list) else longest


def _without_middle(tree: Any, most: int) -> Any:
    if isinstance(tree, dict):
        return {key: _without_middle(each, most) for key, each in tree.items()}
    if not isinstance(tree, list):
        return tree
    if len(tree) <= most:
        return [_without_middle(each, most) for each in tree]
    head, tail = tree[: most - most // 2], tree[len(tree) - most // 2 :]
    items = [_without_middle(each, most) for each in (*head, *tail)]
    note, last = f"[{len(tree) - most:,} items left out]", items[len(head) - 1]
    if isinstance(last, dict) and last.get("type") != "blob":  # the conventions allow that no other key
        last[_GAP] = note
    elif not isinstance(last, dict):
        items.insert(len(head), f"{_GAP} {note}")
    return items


def _mark(span: Span, cut: Iterable[str], original_size: int, room: int) -> None:
    """Tell at the end of the attributes what was cut, as far as there is room, and how large the span was."""
    # The two attributes themselves, with lengths that grow, and a last line that tells how many names are not there.
    names, room = [*dict.fromkeys(cut)], min(room, _MOST_FOR_MARK) - 128
    listed: list[str] = []
    for name in names:
        short = name if size_of(name, in_json=False) <= SHORT else truncate(name, SHORT)
        room -= size_of(short, in_json=False) + 4
        if room < 0:
            listed.append(f"… [{len(names) - len(listed):,} more]")
            break
        listed.append(short)
    values = ArrayValue(values=[AnyValue(string_value=name) for name in listed])
    span.attributes.add(key=SHORTENED).value.array_value.CopyFrom(values)
    span.attributes.add(key=ORIGINAL_SIZE).value.int_value = original_size


def _unmark(span: Span) -> tuple[list[str], int]:
    """Take off the mark of an earlier time; return what was cut, and how large the span was before anything was."""
    cut: list[str] = []
    size = span.ByteSize()
    for position in reversed(range(len(span.attributes))):
        attribute = span.attributes[position]
        if attribute.key in (SHORTENED, ORIGINAL_SIZE):
            cut.extend(value.string_value for value in attribute.value.array_value.values)
            size = max(size, attribute.value.int_value)
            del span.attributes[position]
    return cut, size


def _bare(resource_spans: ResourceSpans, span: Span, original_size: int) -> ExportTraceServiceRequest:
    """Return what is left of a span if nothing else helps: where it stands in its trace, when it was, how it ended."""
    _unmark(span)
    bare = Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        flags=span.flags,
        name=span.name if size_of(span.name, in_json=False) <= SHORT else truncate(span.name, SHORT),
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
