"""Values of any kind as JSON, in one walk: it copies what there is room for, and looks at nothing else.

Room is a number of bytes. Long texts take half of what is left when the walk comes to them, and in the end what is left
over, in the order in which it came to them; what no room is left for is counted in a note. So the JSON stays valid, and
the walk costs what is kept, not what there is.
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any, Final

import orjson
from langchain_core.messages import BaseMessage

from runspan._guard import attempt, attempt_quietly
from runspan.payload.blobs import (
    DATA_KEYS,
    SHORTEST_BLOB,
    Blob,
    blob_field,
    may_be_near_blobs,
    may_hold_blobs,
    without_blobs,
)
from runspan.payload.flat import DEPTH_OF_FLAT, KINDS, flat_json
from runspan.payload.items import LEAST_FOR_ITEM, Items
from runspan.payload.notes import CutText, in_ascii, left_out
from runspan.payload.redacting import Redact, beside_key
from runspan.payload.simplify import simplified
from runspan.payload.stored import stored_items, stored_length, stored_pairs
from runspan.payload.text import CUT, Excerpt, clean, describe, described, is_text, unprintable
from runspan.payload.truncate import fitted

DEFAULT_ROOM: Final = 1_000_000
"""Bytes."""
_MAX_DEPTH: Final = 100
_MAX_DEPTH_OF_FLAT: Final = _MAX_DEPTH - DEPTH_OF_FLAT
_SMALLEST_INT: Final = -(2**63)
_LARGEST_INT: Final = 2**64 - 1
# What takes no more than this part of what is left need not be cut, nor any text in it.
_SHARES_OF_FLAT: Final = 3
# A text of so many bytes is not cut: names, ids and roles stay, and a note would take as much.
_SHORT: Final = 96
# The last part of all room is not shared: an item that it has no room for as a whole is left out, not cut.
_LAST_PART: Final = 32
_BRACKETS: Final = 3  # with a comma
_APART: Final = 8  # items, after which it is looked whether others can be written at once
# What a note takes of how many items or keys were left out; any list may come to need one.
_NOTE: Final = 44
_NOTE_AS_ITEM: Final = _NOTE + 80


class _FullError(Exception):
    """No room is left."""


def to_json(value: object, room: int = DEFAULT_ROOM, redact: Redact | None = None) -> str:
    """Return any value as JSON, as ``json_bytes`` does."""
    return json_bytes(value, room, redact).decode()


def json_bytes(value: object, room: int = DEFAULT_ROOM, redact: Redact | None = None) -> bytes:
    """Return any value as JSON of at most so many bytes; what JSON has no form for is described as text. Never raises.

    What is deeper than 100 levels, holds itself or can't be printed is replaced by a text such as ``<too deep>``. What
    there is no room for is cut, with a note of how much that was. Two bytes are needed at the least.

    Args:
        value: any value; ``Items`` in it are made as they are needed.
        room: in bytes.
        redact: is called with each text that is kept, keys too, but for those that the conventions prescribe.
    """
    # orjson 3.13 crashes the process, or writes over its memory, on deep tuples, on a UUID that was not initialized,
    # and where code that it calls fails or changes what it is writing. It only ever gets a copy that has no such thing.
    if redact is None:
        most = room // _SHARES_OF_FLAT
        written = value.whole(most) if type(value) is Items else flat_json(value, most)
        if written is not None:
            return written
    walk = _Walk(room, redact)
    copy = attempt(walk.run, value, default="<too deep>")  # only a RecursionError can come here
    walk.extend_texts()
    return copy if type(copy) is bytes else orjson.dumps(copy, default=CutText.shown)


def without_media(text: str) -> str:
    """Return a text with references in place of media."""
    if type(text) is not str:
        text = str.__str__(text)  # without a subclass's own code
    return attempt(without_blobs, text, default=text) if may_hold_blobs(text) else text


def size_in_json(text: str) -> int:
    """Return the bytes of a text in JSON, with its quotation marks."""
    return len(orjson.dumps(text))


class _Walk:
    """Copies one value; no code of a value runs but in ``attempt``."""

    def __init__(self, room: int, redact: Redact | None) -> None:
        self._room = room
        self._last_part = room // _LAST_PART
        self._redact = redact
        self._ancestors: set[int] = set()  # ids of the values around the present one
        self._cut_texts: list[CutText] = []

    def run(self, value: Any) -> object:
        """Return a copy of a value, an empty text if there is no room for anything."""
        try:
            return self.copy(value, 0)
        except _FullError:
            return ""

    def copy(self, value: Any, depth: int) -> object:
        """Return any value as built-in dictionaries, lists, texts, numbers, booleans and None, none of them a subclass.

        Raises:
            _FullError: if there is no room for it at all.
        """
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is float or kind is int or kind is bool or value is None:
            return self._scalar(value)
        if depth >= _MAX_DEPTH:
            return self._text("<too deep>")
        if kind in KINDS and self._redact is None and (written := self._flat(value, depth)) is not None:
            return written
        if id(value) in self._ancestors:
            return self._text("<cycle>")
        self._ancestors.add(id(value))
        try:
            return self._copy_parts(value, depth + 1)
        finally:
            self._ancestors.discard(id(value))

    def extend_texts(self) -> None:
        """Give the texts that were cut what is left over, the first of them first."""
        for cut in self._cut_texts:
            room = cut.room + self._room
            self._room = room - cut.fit(room, self._redact)

    def _spend(self, size: int) -> None:
        if size > self._room:
            raise _FullError
        self._room -= size

    def _scalar(self, value: Any) -> object:
        if type(value) is int and not _SMALLEST_INT <= value <= _LARGEST_INT:
            return self._text(describe(value))
        self._spend(len(repr(value)) + 2)  # a comma, and "null" is longer than "nan"
        return value

    def _text(self, text: str) -> object:
        if may_be_near_blobs(text):
            text = without_media(text)
        share = self._room // 2
        if self._redact is None and len(text) <= share:  # as almost always; the rest costs a few calls more
            kept = text if text.isascii() else clean(text)
            if (size := len(orjson.dumps(kept)) + 1) <= share:
                self._room -= size
                return kept
        return self._text_in(text, share)

    def _text_in(self, text: str, share: int) -> object:
        """Return a text that may have to be cut or redacted."""
        if len(text) <= _SHORT:
            text = clean(text)
            kept = self._redact(text) if self._redact is not None else text
            self._spend(size_in_json(kept) + 1)
            return kept
        if share < _SHORT:
            raise _FullError
        if len(text) <= share:
            text = clean(text)
            kept = self._redact(text) if self._redact is not None else text
            if (size := size_in_json(kept) + 1) <= share:
                self._spend(size)
                return kept
        self._spend(share)
        self._cut_texts.append(cut := CutText(text, share - 1))
        return cut

    def _flat(self, value: Any, depth: int) -> orjson.Fragment | None:
        # A walk through it would come to the same, and take four times as long.
        written = flat_json(value, self._room // _SHARES_OF_FLAT)
        if written is None or depth >= _MAX_DEPTH_OF_FLAT:
            return None
        self._room -= len(written) + 1
        return orjson.Fragment(written)

    def _copy_parts(self, value: Any, depth: int) -> object:
        kind = type(value)
        if kind is dict:
            return self._dictionary(value, len(value), depth)
        if kind is Items:
            return self._items(value, depth)
        if (size := stored_length(value)) is None:
            return self._simplified(value, depth)
        if issubclass(kind, dict):
            return self._dictionary(value, size, depth)
        if issubclass(kind, list) and size and issubclass(type(list.__getitem__(value, -1)), BaseMessage):
            return self._items(Items(value, newest_first=True), depth)
        return self._list(value, size, depth)

    def _simplified(self, value: Any, depth: int) -> object:
        if type(value) is not Excerpt:
            value = attempt_quietly(simplified, value, default=unprintable(value))
        if type(value) is Excerpt:
            return self._text(fitted(without_media(value.text), value.most, self._redact))
        return self.copy(value, depth)

    def _dictionary(self, value: Any, size: int, depth: int) -> dict[str, object]:
        self._spend(_BRACKETS + _NOTE)
        copies: dict[str, object] = {}
        pairs = (
            list(value.items()) if type(value) is dict and size <= self._room else stored_pairs(value, self._room + 1)
        )
        for key, each in pairs or ():
            before = self._room
            try:
                name = self._key(key, copies)
                if self._redact is not None and is_text(each):
                    each = beside_key(name, each, self._redact)  # noqa: PLW2901  what is copied
                copies[name] = self.copy(_medium(each, pairs or []) if name in DATA_KEYS else each, depth)
            except _FullError:
                self._room = before
                copies[CUT] = left_out(size - len(copies), "keys")
                return copies
        self._room += _NOTE
        return copies

    def _key(self, key: Any, others: dict[str, object]) -> str:
        if type(key) is str and self._redact is None and key.isidentifier() and key.isascii() and key not in others:
            if (size := len(key) + 4) > self._room:
                raise _FullError
            self._room -= size
            return key
        text = described(key)
        if len(text) >= SHORTEST_BLOB:
            text = without_media(text)
        name = first = fitted(text, max(self._room // 2, _SHORT), self._redact, size_in_json)
        number = 1
        while name in others:
            number += 1
            name = f"{first} ({number})"
        self._spend(size_in_json(name) + 2)
        return name

    def _list(self, value: Any, size: int, depth: int, note: Callable[[str], object] = str) -> list[object]:
        for_note = _NOTE if note is str else _NOTE_AS_ITEM
        self._spend(_BRACKETS + for_note)
        copies: list[object] = []
        for item in stored_items(value, self._room) or ():
            before = self._room
            try:
                copies.append(self.copy(item, depth) if note is str else self._whole(item, depth))
            except _FullError:
                self._room = before
                break
        if size > len(copies):
            copies.append(orjson.Fragment(in_ascii(note(left_out(size - len(copies))))))
        else:
            self._room += for_note
        return copies

    def _items(self, items: Items, depth: int) -> object:
        """Return items that are made, the newest of them if there is no room for all."""
        count = stored_length(items.values) or 0
        if items.make is None and not items.newest_first:
            return self._list(items.values, count, depth, items.note)
        self._spend(_BRACKETS + _NOTE_AS_ITEM)
        kept: list[Any] = []
        left, order = count, items.order(count)
        values: Any = items.values
        write_run = items.write_run if self._redact is None and type(values) is list else None
        with suppress(_FullError, IndexError):  # another thread may take some out
            for index in order:
                written = items.written(index, self._redact)
                kept.append(self._item(items, index, written, depth, is_first=not kept))
                left -= 1
                if write_run is not None and len(kept) % _APART == 2:  # noqa: PLR2004  the last and the first
                    run, taken = write_run(values, index or count - 1, self._room)
                    if taken:
                        kept.append(run)
                        self._room -= len(run) + 1
                        left -= len(list(islice(order, taken)))
        note: list[object] = []
        if left:
            note.append(in_ascii(items.note(left_out(left))))
        else:
            self._room += _NOTE_AS_ITEM
        if items.newest_first:  # the last, the first, and what is between them from its end
            kept = [*kept[1:2], *note, *kept[:1:-1], *kept[:1]]
        else:
            kept += note
        if set(map(type, kept)) != {bytes}:
            return [orjson.Fragment(each) if type(each) is bytes else each for each in kept]
        joined = b"".join((b"[", b",".join(kept), b"]"))
        return joined if depth == 1 else orjson.Fragment(joined)  # all of the value is JSON already, or a part of it

    def _item(self, items: Items, index: int, written: bytes | None, depth: int, *, is_first: bool) -> object:
        """Return an item as JSON, or a copy of it, which is no bytes.

        Raises:
            _FullError: if there is no room for it.
        """
        room = self._room
        if room < LEAST_FOR_ITEM and not is_first:
            raise _FullError
        is_last = room < self._last_part and not is_first
        if written is not None and len(written) < (room if is_last else room // 2):
            self._room = room - len(written) - 1
            return written
        if written is not None and is_last:
            raise _FullError
        try:
            item = items.item(index)
            return self.copy(item, depth) if items.note is str else self._whole(item, depth)
        except _FullError:
            self._room = room
            raise

    def _whole(self, item: object, depth: int) -> object:
        """Return a copy of an item with all its keys, without which a message or a part is none by the conventions.

        Raises:
            _FullError: if there is no room for them.
        """
        before = len(self._cut_texts)
        copied = self.copy(item, depth)
        if type(copied) is dict and CUT in copied:
            del self._cut_texts[before:]
            raise _FullError
        return copied


def _medium(data: Any, holder: list[tuple[Any, Any]]) -> object:
    """Return what stands for data whose dictionary says of which media type it is; other values as they are."""
    if not (type(data) is str or type(data) is bytes) or len(data) < SHORTEST_BLOB:
        return data
    blob: Blob | None = attempt(blob_field, data, holder, default=None)
    return blob.in_words() if blob is not None else data
