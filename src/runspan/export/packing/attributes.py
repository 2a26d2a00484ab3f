"""Attributes made smaller: content first, so that those which tell what a span is about stay as they are."""

from collections.abc import MutableSequence
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import KeyValue, KeyValueList

from runspan import semconv
from runspan.export.packing.cutting import SHORT
from runspan.export.packing.documents import document_in, leave_out_media, may_have_media
from runspan.export.packing.sharing import Part, share
from runspan.export.packing.sizes import framed

# The beginnings of the names under which content stands: ours, OpenInference's, OpenLLMetry's.
_CONTENT: Final = (
    *(name.name for name in semconv.NAMES if name.level is semconv.Level.CONTENT),
    semconv.INPUTS,
    semconv.OUTPUTS,
    semconv.EVENT_DATA,
    "gen_ai.completion",
    "gen_ai.content.",
    "gen_ai.event.content",
    "gen_ai.prompt",
    "gen_ai.system_instructions",
    "embedding.embeddings",
    "input.value",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt",
    "llm.tools",
    "output.value",
    "reranker.",
    "retrieval.documents",
    "traceloop.entity.input",
    "traceloop.entity.output",
)
_WEIGHT_BESIDE_CONTENT: Final = 4


class Attributes:
    """The attributes of a span, an event, a link, a resource or a scope.

    Args:
        attributes: As they stand in the message.
        cut: Takes the names of those that are made smaller or dropped.
    """

    def __init__(self, attributes: MutableSequence[KeyValue], cut: list[str]) -> None:
        self._attributes = attributes
        self._cut = cut
        self._dropped: set[int] = set()

    def part(self) -> Part:
        """Return all of them as a part of what they belong to."""
        return Part(sum(framed(attribute.ByteSize()) for attribute in self._attributes), self.fit)

    def fit(self, room: int) -> int:
        """Make them take at most so many bytes; return what they take then."""
        size = share([self._part(position) for position in range(len(self._attributes))], room)
        if self._dropped:
            kept = (each for position, each in enumerate(self._attributes) if position not in self._dropped)
            copies = KeyValueList(values=kept)
            del self._attributes[:]
            self._attributes.extend(copies.values)
        return size

    @property
    def dropped(self) -> int:
        """How many were dropped because not even their names and a note would fit."""
        return len(self._dropped)

    def leave_out_media(self, excess: int) -> None:
        """Leave out images and other media in them, the largest first, until so many bytes are saved."""
        if excess <= 0:
            return
        candidates = [attribute for attribute in self._attributes if may_have_media(attribute.value)]
        found = {document_in(attribute.value): attribute.key for attribute in candidates}
        for document in leave_out_media(filter(None, found), excess):
            document.save()
            self._cut.append(found[document])

    def _part(self, position: int) -> Part:
        attribute = self._attributes[position]
        size = framed(attribute.ByteSize())
        least = min(size, len(attribute.key) + 2 * SHORT)
        weight = 1 if attribute.key.startswith(_CONTENT) else _WEIGHT_BESIDE_CONTENT
        return Part(size, lambda room: self._fit_one(position, room), least, weight)

    def _fit_one(self, position: int, room: int) -> int:
        attribute = self._attributes[position]
        self._cut.append(attribute.key)
        _fit_value(attribute, room)
        size = framed(attribute.ByteSize())
        if size <= room:
            return size
        self._dropped.add(position)
        return 0


def _fit_value(attribute: KeyValue, room: int) -> None:
    value = attribute.value
    room -= framed(attribute.ByteSize()) - value.ByteSize()
    if room <= 0:
        return
    if value.HasField("bytes_value"):
        value.bytes_value = value.bytes_value[: max(0, room - SHORT)]
    elif document := document_in(value):
        document.fit(room)
        document.save()
