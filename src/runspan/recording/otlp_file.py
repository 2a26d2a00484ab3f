"""Recorded spans: read from files or objects, and put back into the order in which they happened.

A file is what the Collector's file exporter writes without compression. In JSON each line is one request. In protobuf
(``format: proto``) each request follows its length: 4 bytes, the highest first. One bare request is read too.
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/fileexporter
"""

import logging
import math
import os
import re
from collections.abc import Iterable, Iterator
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Final, Literal, NoReturn

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from runspan.arguments import shown
from runspan.recording.recorded_span import RecordedSpan, spans_of, spans_of_json

_logger = logging.getLogger("runspan")

_LENGTH_BYTES: Final = 4
# A request in protobuf begins with the tag of its first ``resource_spans``.
_TAG: Final = b"\n"
# Not just any white space before the brace: ``\n{\n`` may be a request in protobuf.
_JSON: Final = re.compile(rb'\{|\s+\{"')
_COMPRESSED: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}
# What JSON of another shape runs into.
_WRONG_SHAPE: Final = (AttributeError, KeyError, TypeError, ValueError, RecursionError)


def read_recording(source: str | os.PathLike[str] | Iterable[object]) -> list[RecordedSpan]:
    """Read spans; one that is there twice, as after a repeated export, is read once.

    What a file that was cut ends with is left out, with a warning. Lines of JSON without spans, such as logs, are
    passed over.

    Args:
        source: a path, or spans: the SDK's, or OTLP messages (``TracesData``, ``ExportTraceServiceRequest``,
            ``ResourceSpans``).

    Raises:
        ValueError: names the file and the line or byte where it is broken, or why it can't be read at all.
        TypeError: names the value that is no span, or no recording.
        OSError: the file can't be opened.
    """
    if isinstance(source, str | os.PathLike):
        spans = _spans_of_file(Path(source))
    elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray):
        spans = chain.from_iterable(map(spans_of, source))
    else:
        raise TypeError(f"recording is {shown(source)}; give the path of a file of OTLP, or a list of spans.")
    return list({(span.trace_id, span.span_id): span for span in spans}.values())


def in_order(spans: Iterable[RecordedSpan]) -> Iterator[tuple[Literal["start", "end"], RecordedSpan]]:
    """Yield the starts and ends of spans in the order of time, over all traces; what has no end only starts.

    At one and the same time parents start before their children and end after them, and a span ends before its next
    sibling starts. Where clocks disagree, so that a child is outside of its parent's time, time counts.
    """
    yield from sorted(_nested(spans), key=lambda moment: _time(*moment))


def _time(edge: str, span: RecordedSpan) -> int:
    return span.start_ns if edge == "start" else max(span.start_ns, span.end_ns)


def _nested(spans: Iterable[RecordedSpan]) -> Iterator[tuple[Literal["start", "end"], RecordedSpan]]:
    """Yield starts and ends as the trees are nested, siblings by time; roots are those whose parent is missing."""
    ordered = sorted(spans, key=lambda span: (span.start_ns, span.end_ns or math.inf))
    known = {(span.trace_id, span.span_id) for span in ordered}
    children: dict[tuple[int, int] | None, list[RecordedSpan]] = {None: []}
    for span in ordered:
        parent = None if span.parent_id is None else (span.trace_id, span.parent_id)
        children.setdefault(parent if parent in known else None, []).append(span)
    while children:  # the roots; then, in a broken recording, cycles of parents
        waiting: list[tuple[Literal["start", "end"], RecordedSpan]]
        waiting = [("start", span) for span in reversed(children.pop(next(iter(children))))]
        while waiting:
            edge, span = waiting.pop()
            if edge == "start" or span.end_ns:
                yield edge, span
            if edge == "start":
                waiting.append(("end", span))
                below = children.pop((span.trace_id, span.span_id), [])
                waiting += (("start", child) for child in reversed(below))


def _spans_of_file(path: Path) -> Iterator[RecordedSpan]:
    with path.open("rb") as file:
        head = file.peek()
        for magic, compression in _COMPRESSED.items():
            if head.startswith(magic) or head[_LENGTH_BYTES:].startswith(magic):
                raise ValueError(
                    f"{path} is compressed with {compression}; decompress it, or write it without compression."
                )
        if _JSON.match(head):
            yield from _spans_of_lines(file, path)
        elif head.startswith(_TAG):
            yield from _spans_of_request(file.read(), path, 0)
        elif head[_LENGTH_BYTES:].startswith(_TAG) or len(head) <= _LENGTH_BYTES:
            yield from _spans_of_frames(file, path)
        else:
            raise ValueError(
                f"{path} is no recording of spans; give a file that the Collector's file exporter wrote, OTLP as JSON"
                " lines or as protobuf."
            )


def _spans_of_lines(file: BufferedReader, path: Path) -> Iterator[RecordedSpan]:
    for number, line in enumerate(file, 1):
        try:
            yield from list(spans_of_json(orjson.loads(line))) if line.strip() else ()
        except _WRONG_SHAPE as error:
            if isinstance(error, orjson.JSONDecodeError) and not line.endswith(b"\n"):
                _warn_of_cut(path, f"line {number}")
            else:
                _raise_broken(path, f"line {number}", error)


def _spans_of_frames(file: BufferedReader, path: Path) -> Iterator[RecordedSpan]:
    size = os.fstat(file.fileno()).st_size
    while header := file.read(_LENGTH_BYTES):
        start = file.tell()
        length = int.from_bytes(header)
        if len(header) < _LENGTH_BYTES or length > size - start:
            _warn_of_cut(path, f"byte {start - len(header)}")
            return
        yield from _spans_of_request(file.read(length), path, start)


def _spans_of_request(data: bytes, path: Path, start: int) -> Iterator[RecordedSpan]:
    try:
        yield from list(spans_of(TracesData.FromString(data)))
    except (DecodeError, ValueError) as error:
        _raise_broken(path, f"byte {start}", error)


def _warn_of_cut(path: Path, position: str) -> None:
    _logger.warning(
        "%s ends in the middle of a request, at %s; the spans of that request are left out.", path, position
    )


def _raise_broken(path: Path, position: str, error: Exception) -> NoReturn:
    reason = f"{type(error).__name__}: {error}"
    raise ValueError(
        f"{path} is broken at {position}: not a whole OTLP request of spans ({reason}). Take it out, or record again."
    ) from error
