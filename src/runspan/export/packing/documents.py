"""Values that have a structure, made smaller: JSON in a text, the lists and maps of OTLP; a mere text is one leaf."""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from runspan.export.packing.cutting import JSON, PLAIN, SHORT, Form
from runspan.export.packing.sharing import Part, share
from runspan.export.packing.sizes import framed
from runspan.export.packing.trees import Found, Leaf, Thinning, explore
from runspan.export.packing.values import size_as_any_value, to_any_value, to_tree

# orjson writes nothing deeper than 254.
_DEEPEST: Final = 200
# Without one of these there are no media in a value.
_HINTS: Final = (b"base64", b"blob", b"mime_type", b"media_type")


class Document:
    """A tree, and the value it stands in.

    Args:
        value: What holds it.
        root: The tree.
        kind: How it is written there.
    """

    def __init__(self, value: AnyValue, root: Any, kind: "_Kind") -> None:
        self._value = value
        self._holder = [root]
        self._kind = kind
        self._found = self._explore()

    @property
    def depth(self) -> int:
        """How deep its lists and maps are nested."""
        return self._found.depth

    def save(self) -> None:
        """Put it back where it came from."""
        self._value.CopyFrom(self._kind.write(self._holder[0]))

    def fit(self, room: int) -> None:
        """Make it take at most so many bytes, as far as it can be: media go first, then texts, then items of lists."""
        leave_out_media([self], self._size() - room)
        if self._size() <= room:
            return
        freed = self._shorten_texts()
        # Where numbers and short texts alone are too many, the long ones still get their half.
        self._thin(room - min(freed, room // 2))
        if (spare := room - self._size()) > 0:
            self._lengthen_texts(spare, room)

    def media(self) -> list[Leaf]:
        """Find encoded media in it."""
        return [leaf for leaf in self._found.texts if _is_media(leaf)]

    def leave_out(self, medium: Leaf) -> int:
        """Put a note in place of a medium, after the head of a data URL; return how many bytes that saves."""
        text = medium.text
        head = text[: text.find(",") + 1] if text.startswith("data:") else ""
        medium.put(head + self._kind.form.cut(text[len(head) :], 0))
        return len(text) - len(medium.text)

    def _explore(self) -> Found:
        return explore(self._holder, SHORT // self._kind.form.widest)

    def _size(self) -> int:
        return self._kind.measure(self._holder[0])

    def _shorten_texts(self) -> int:
        """Cut each text as short as can be, for the time being; return how many bytes that frees."""
        form, freed = self._kind.form, 0
        for leaf in self._found.texts:
            if (size := form.size(leaf.text)) > SHORT:
                short = _Shortened(form.cut(leaf.text, SHORT))
                short.whole, short.whole_size, short.size = leaf.text, size, form.size(short)
                freed += size - short.size
                leaf.put(short)
        return freed

    def _thin(self, room: int) -> None:
        if (size := self._size()) <= room:
            return
        thinning = Thinning(self._found.containers)
        most = thinning.longest
        while most > 2 and size > room:  # noqa: PLR2004  the first and the last stay
            most = max(2, int(most * min(0.9, room / size)))
            thinning.thin(most)
            size = self._size()
        self._found = self._explore()

    def _lengthen_texts(self, spare: int, room: int) -> None:
        shortened = [(leaf, leaf.text) for leaf in self._found.texts if isinstance(leaf.text, _Shortened)]
        taken = self._share(shortened, spare)
        # The lengths that stand before what grew have grown too.
        if (excess := self._size() - room) > 0:
            self._share(shortened, taken - excess)

    def _share(self, shortened: Iterable[tuple[Leaf, "_Shortened"]], spare: int) -> int:
        parts = [self._whole(leaf, short) for leaf, short in shortened]
        least = sum(part.least for part in parts)
        return share(parts, least + spare) - least

    def _whole(self, leaf: Leaf, short: "_Shortened") -> Part:
        form = self._kind.form

        def fit(room: int) -> int:
            text = form.cut(short.whole, room)
            leaf.put(text)
            return form.size(text)

        leaf.put(short.whole)
        return Part(short.whole_size, fit, short.size)


class _Shortened(str):
    """A text cut for the time being, and what it was."""

    __slots__ = ("size", "whole", "whole_size")
    size: int
    whole: str
    whole_size: int


class _Kind(NamedTuple):
    """How a tree is written into a value.

    Args:
        form: How its texts are written.
        write: Returns the tree as a value.
        measure: Returns what that takes, in bytes.
    """

    form: Form
    write: Callable[[Any], AnyValue]
    measure: Callable[[Any], int]


def document_in(value: AnyValue) -> Document | None:
    """Return the tree in a value; numbers, truth values and bytes are none."""
    match value.WhichOneof("value"):
        case "array_value" | "kvlist_value":
            return Document(value, to_tree(value), _STRUCTURE)
        case "string_value":
            return _json_in(value) or Document(value, value.string_value, _STRUCTURE)
    return None


def leave_out_media(documents: Iterable[Document], excess: int) -> list[Document]:
    """Leave out encoded media, the largest first, until so many bytes are saved; return what is changed."""
    if excess <= 0:
        return []
    found = [(document, medium) for document in documents for medium in document.media()]
    found.sort(key=lambda each: len(each[1].text))
    changed: list[Document] = []
    while found and excess > 0:
        document, medium = found.pop()
        excess -= document.leave_out(medium)
        changed.append(document)
    return changed


def may_have_media(value: AnyValue) -> bool:
    """Tell whether it is worthwhile to look for media in a value."""
    raw = value.SerializeToString()
    return any(hint in raw for hint in _HINTS)


def _json_in(value: AnyValue) -> Document | None:
    text = value.string_value
    if not text[:20].lstrip().startswith(("{", "[", '"')):
        return None
    try:
        root = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    document = Document(value, root, _JSON)
    return document if document.depth <= _DEEPEST else None


def _to_json(root: Any) -> AnyValue:
    return AnyValue(string_value=orjson.dumps(root).decode())


def _size_as_json(root: Any) -> int:
    return framed(len(orjson.dumps(root)))


_STRUCTURE: Final = _Kind(PLAIN, to_any_value, size_as_any_value)
_JSON: Final = _Kind(JSON, _to_json, _size_as_json)


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
