"""Spans in a file, a line of OTLP's JSON for each, as the Collector's file exporter writes them."""

import errno
import logging
import os
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from runspan._encoding import encode_repaired
from runspan._file_lock import close_locked, open_locked
from runspan._forking import in_forked_child
from runspan._threads import PatientLock, SimpleQueue
from runspan.arguments import shown

MAX_FILE_BYTES: Final = 100_000_000

_logger = logging.getLogger("runspan")
_LEAST_BYTES: Final = 10_000
_IDS: Final = ("traceId", "spanId", "parentSpanId")
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class FileSpanExporter(SpanExporter):
    """Append spans to a file; when half of what it may take is full, it becomes ``PATH.1``, in place of the last one.

    Several processes may share the file. It holds prompts, and is its user's alone.

    Args:
        path: the file; made if it is missing, and its folder, too.
        max_bytes: the most that the file and ``PATH.1`` take together.

    Raises:
        ValueError: if the path is empty, the number too small, or the file can't be written.
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int = MAX_FILE_BYTES) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise ValueError(f"file is {shown(path)}; it must be the path of a file.")
        if type(max_bytes) is not int or max_bytes < _LEAST_BYTES:
            raise ValueError(f"max_file_bytes is {shown(max_bytes)}; it must be an integer of at least {_LEAST_BYTES}.")
        self._path = Path(path).expanduser().absolute()
        self._most_bytes = max_bytes // 2
        self._is_failing = False
        self.reset_after_fork()
        _exporters.add(self)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, _FLAGS, 0o600))
        except OSError as error:
            raise ValueError(f"file {self._path} can't be written ({error.strerror}). Name another one.") from error

    def reset_after_fork(self) -> None:
        """Forget the spans that wait to be written: the parent process writes them."""
        # A span may end inside a garbage collection that interrupts the writing, so no thread waits for the lock.
        self._inbox: SimpleQueue[ReadableSpan] = SimpleQueue()
        self._writing = PatientLock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write spans; what can't be written is lost, and the log says so once until it can be again."""
        for span in spans:
            self._inbox.put(span)
        while not self._inbox.empty() and self._writing.acquire(0):
            try:
                while not self._inbox.empty():
                    self._write(_line(self._inbox.get()))
            finally:
                self._writing.release()
        return SpanExportResult.FAILURE if self._is_failing else SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  nothing here waits
        """Write what another thread was to write."""
        return self.export(()) is SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Write what is left; there is nothing to close."""
        self.export(())

    def _write(self, line: bytes) -> None:
        try:
            self._append(line)
        except OSError as error:
            if not self._is_failing:
                _logger.warning(
                    "Spans can't be written to %s (%s) and are lost. Is there room, and may this user write there?",
                    self._path,
                    error.strerror,
                )
            self._is_failing = True
        else:
            self._is_failing = False

    def _append(self, line: bytes) -> None:
        # Opened anew for each span: another process may have renamed it, and a forked child inherits nothing.
        if self._path.exists() and self._path.stat().st_size > self._most_bytes - len(line):
            self._rotate(len(line))
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            written = os.write(descriptor, line)
            if written < len(line):  # no room for all of it, and half a line would leave the file unreadable
                os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR) - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)

    def _rotate(self, room: int) -> None:
        """Rename the file, unless another process does, or just did."""
        descriptor = open_locked(self._path)
        if descriptor is None:
            return
        try:
            if os.fstat(descriptor).st_size > self._most_bytes - room:
                self._path.replace(rotated(self._path))
        finally:
            close_locked(descriptor)


def rotated(path: Path) -> Path:
    """Return the path of what was in a file before it was full."""
    return path.with_name(f"{path.name}.1")


def _line(span: ReadableSpan) -> bytes:
    message, _ = encode_repaired((span,))
    return orjson.dumps(_with_hex_ids(MessageToDict(message, use_integers_for_enums=True))) + b"\n"


def _with_hex_ids(request: dict[str, Any]) -> dict[str, Any]:
    """Write ids as OTLP's JSON has them, where protobuf's own has base64.

    https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    for of_resource in request["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for holder in (span, *span.get("links", ())):
                    holder |= {name: b64decode(holder[name]).hex() for name in _IDS if name in holder}
    return request


_exporters: WeakSet[FileSpanExporter] = WeakSet()


@in_forked_child
def _reset_after_fork() -> None:
    for exporter in _exporters:
        exporter.reset_after_fork()
