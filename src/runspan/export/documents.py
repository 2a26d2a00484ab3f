"""Values that have a structure: JSON in a text, or the lists and maps of OTLP."""

from collections.abc import Callable
from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from runspan.export.cutting import JSON, PLAIN, SHORT, Form
from runspan.export.sharing import Part, share
from runspan.export.trees import Leaf, containers, leaves, longest, thinned, to_any_value, to_tree

# orjson writes nothing deeper than 254.
_DEEPEST = 200
_FRAMES = 16


class Document:
    """A tree that can be made smaller, and the value it stands in.

    Args:
        value: What holds it.
        root: The tree.
        form: How its texts are written.
        write: Returns the tree as a value.
    """

    def __init__(
        self, value: AnyValue, root: Any, form: Form = PLAIN, write: Callable[[Any], AnyValue] = to_any_value
    ) -> None:
        self._value = value
        self._holder = [root]
        self._form = form
        self._write = write

    @property
    def size(self) -> int:
        """What it takes, in bytes."""
        return self._write(self._holder[0]).ByteSize()

    def save(self) -> None:
        """Put it back where it came from."""
        self._value.CopyFrom(self._write(self._holder[0]))

    def fit(self, room: int) -> None:
        """Make it take at most so many bytes, as far as it can be: media go first, then texts, then items of lists."""
        room -= self._margin()
        self.leave_out_media(self.size - room)
        if self.size <= room:
            return
        freed = self._shorten_texts()
        self._thin(room - min(freed, room // 2))
        if (spare := room - self.size) >= 0:
            self._lengthen_texts(spare)

    def leave_out_media(self, excess: int) -> int:
        """Leave out encoded media, the largest first, until so many bytes are saved; return how many are."""
        saved = 0
        found = sorted(filter(_is_media, leaves(self._holder)), key=lambda leaf: len(leaf.text)) if excess > 0 else []
        while found and saved < excess:
            leaf = found.pop()
            text = leaf.text
            head = text[: text.find(",") + 1] if text.startswith("data:") else ""
            leaf.put(head + self._form.cut(text[len(head) :], 0))
            saved += len(text) - len(leaf.text)
        return saved

    def _margin(self) -> int:
        """Return by how much the lengths that stand before everything may grow when texts in it do."""
        is_framed = self._form is PLAIN
        return _FRAMES * (1 + sum(len(container) for container, _ in containers(self._holder)) if is_framed else 1)

    def _shorten_texts(self) -> int:
        """Cut each text as short as can be, for the time being; return how many bytes that frees."""
        freed = 0
        for leaf in leaves(self._holder):
            if (size := self._form.size(leaf.text)) > SHORT:
                short = _Shortened(self._form.cut(leaf.text, SHORT))
                short.whole, short.whole_size = leaf.text, size
                freed += size - self._form.size(short)
                leaf.put(short)
        return freed

    def _thin(self, room: int) -> None:
        """Leave out items in the middle of lists, of the longest first."""
        whole, most = self._holder[0], longest(self._holder)
        while most > 2 and (size := self.size) > room:  # noqa: PLR2004  the first and the last stay
            most = max(2, int(most * min(0.9, room / size)))
            self._holder[0] = thinned(whole, most)

    def _lengthen_texts(self, spare: int) -> None:
        parts = [self._whole(leaf, leaf.text) for leaf in leaves(self._holder) if isinstance(leaf.text, _Shortened)]
        share(parts, spare + sum(part.least for part in parts))

    def _whole(self, leaf: Leaf, short: "_Shortened") -> Part:
        def fit(room: int) -> int:
            text = self._form.cut(short.whole, room)
            leaf.put(text)
            return self._form.size(text)

        leaf.put(short.whole)
        return Part(short.whole_size, fit, self._form.size(short))


class _Shortened(str):
    """A text cut for the time being, and the whole of it."""

    __slots__ = ("whole", "whole_size")
    whole: str
    whole_size: int


def document_in(value: AnyValue) -> Document | None:
    """Return the tree in a value: a text is one too; bytes, numbers and truth values are none."""
    match value.WhichOneof("value"):
        case "array_value" | "kvlist_value":
            return Document(value, to_tree(value))
        case "string_value":
            return _json_in(value) or Document(value, value.string_value)
    return None


def _json_in(value: AnyValue) -> Document | None:
    text = value.string_value
    if not text[:20].lstrip().startswith(("{", "[", '"')):
        return None
    try:
        root = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if any(depth > _DEEPEST for _, depth in containers(root)):
        return None
    return Document(value, root, JSON, _to_json)


def _to_json(root: Any) -> AnyValue:
    return AnyValue(string_value=orjson.dumps(root).decode())


def _is_media(leaf: Leaf) -> bool:
    if len(leaf.text) <= SHORT:
        return False
    if leaf.text.startswith("data:") and ";base64," in leaf.text[:200]:
        return True
    holder = leaf.holder
    return isinstance(holder, dict) and (
        (leaf.key in ("content", "data") and holder.get("type") in ("blob", "base64"))
        or (leaf.key in ("data", "base64", "bytes") and ("mime_type" in holder or "media_type" in holder))
    )
