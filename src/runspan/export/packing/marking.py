"""The mark on a span that was made smaller: what was cut, and how large the span was, in bytes of OTLP.

What was cut are names of attributes; also ``name``, ``status.message``, ``event.name``, ``events``, ``links``.
"""

from collections.abc import Sequence
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from runspan.export.packing.cutting import PLAIN, SHORT
from runspan.export.packing.sizes import framed
from runspan.semconv import ORIGINAL_SIZE, SHORTENED

MOST_FOR_MARK: Final = 4096
# The two attributes themselves, with lengths that grow, and a last line that tells how many names are not there.
_WITHOUT_NAMES: Final = 128


def mark(span: Span, cut: Sequence[str], original_size: int, room: int) -> None:
    """Put the mark at the end of a span's attributes, with as many names as there is room for."""
    names = _listed([*dict.fromkeys(cut)], min(room, MOST_FOR_MARK) - _WITHOUT_NAMES)
    listed = ArrayValue(values=[AnyValue(string_value=name) for name in names])
    span.attributes.add(key=SHORTENED).value.array_value.CopyFrom(listed)
    span.attributes.add(key=ORIGINAL_SIZE).value.int_value = original_size


def unmark(span: Span) -> tuple[list[str], int]:
    """Take off the mark of an earlier time; return what was cut, and how large the span was before anything was."""
    cut: list[str] = []
    size = span.ByteSize()
    for position in reversed(range(len(span.attributes))):
        attribute = span.attributes[position]
        if attribute.key not in (SHORTENED, ORIGINAL_SIZE):
            continue
        cut.extend(value.string_value for value in attribute.value.array_value.values)
        size = max(size, attribute.value.int_value)
        del span.attributes[position]
    return cut, size


def is_marked(span: Span) -> bool:
    """Tell whether a span was made smaller."""
    return any(attribute.key == SHORTENED for attribute in span.attributes[-2:])


def _listed(names: Sequence[str], room: int) -> list[str]:
    listed: list[str] = []
    for name in names:
        short = name if PLAIN.size(name) <= SHORT else PLAIN.cut(name, SHORT)
        room -= framed(framed(PLAIN.size(short)))
        if room < 0:
            return [*listed, f"… [{len(names) - len(listed):,} more]"]
        listed.append(short)
    return listed
