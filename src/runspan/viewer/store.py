"""Traces in SQLite, bounded by bytes: what ``runspan ui`` receives and ``runspan traces`` reads."""

import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from runspan.recording.otlp_json import otlp_line
from runspan.recording.recorded_span import RecordedSpan, spans_of_json
from runspan.viewer.search import has_text
from runspan.viewer.trace import ViewedTrace, summary_of, trace_of

MAX_BYTES: Final = 1_000_000_000
STORE_FAILED: Final = (
    "The store of traces failed: %s. Is its disk full, or the file damaged? Then name another with --store."
)

_KEPT: Final = 0.9  # of the bytes, once there were too many, so that not each span has to make room
_BUSY_SECONDS: Final = 10.0
_SCHEMA: Final = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA journal_size_limit = 4000000;
CREATE TABLE IF NOT EXISTS traces (
    id TEXT PRIMARY KEY, began_ns INTEGER NOT NULL, change INTEGER NOT NULL, summary BLOB
);
CREATE INDEX IF NOT EXISTS traces_began ON traces (began_ns);
CREATE INDEX IF NOT EXISTS traces_change ON traces (change);
CREATE TABLE IF NOT EXISTS spans (
    trace TEXT NOT NULL, id INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (trace, id)
);
"""
_FORMAT: Final = zlib.crc32(_SCHEMA.encode()) & 0x7FFF_FFFF  # so that none is changed and keeps its number


class TraceStore:
    """Traces on disk; threads and processes may use it at once. It holds prompts, and is its user's alone.

    What can't be read or written later raises ``sqlite3.Error``: a full disk, a damaged file.

    Args:
        path: the file; made if it is missing, and its folder, too.
        max_bytes: how much the spans may take; then the oldest traces go.

    Raises:
        ValueError: if the file is no store of traces.
        OSError: if it can't be made.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        try:
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._prepare(path)
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path} is no store of traces ({error}). Name another file.") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _prepare(self, path: Path) -> None:
        self._connection.create_function("has_text", 2, has_text, deterministic=True)
        with ExitStack() as at_error:
            at_error.callback(self._connection.close)
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
            if found not in (0, _FORMAT):
                raise ValueError(f"{path} was written by another version of runspan. Remove it, or name another file.")
            self._connection.executescript(f"{_SCHEMA}PRAGMA user_version = {_FORMAT};")
            at_error.pop_all()

    def add(self, spans: Iterable[RecordedSpan]) -> None:
        """Store spans, each once; the oldest traces go if there is no room."""
        with self._writing() as cursor:
            (change,) = cursor.execute("SELECT coalesce(max(change), 0) + 1 FROM traces").fetchone()
            for span in spans:
                trace = f"{span.trace_id:032x}"
                key = span.span_id - 2**63  # SQLite's integers have a sign
                cursor.execute("INSERT OR REPLACE INTO spans VALUES (?, ?, ?)", (trace, key, otlp_line(span)))
                cursor.execute(
                    "INSERT INTO traces VALUES (?, ?, ?, NULL) ON CONFLICT DO UPDATE SET summary = NULL,"
                    " began_ns = min(began_ns, excluded.began_ns), change = excluded.change",
                    (trace, min(span.start_ns, 2**63 - 1), change),
                )
            self._make_room(cursor)

    def changes(self, since: int) -> tuple[int, list[str]]:
        """Return the number of the last change, and the ids of the traces that have changed since another one."""
        rows = self._rows("SELECT change, id FROM traces WHERE change > ? ORDER BY change", (since,))
        return (rows[-1][0] if rows else since), [trace for _, trace in rows]

    def summaries(self, *, search: str = "", limit: int = 1000) -> Iterator[dict[str, Any]]:
        """Yield what lists show of the latest traces: a ``ViewedTrace`` without its spans and messages.

        It is made when it is first asked for, so who takes a few waits for these alone.

        Args:
            search: a text that a span must have, in its name, in content or in any other attribute.
            limit: the most traces.
        """
        query = "SELECT id, change, summary FROM traces ORDER BY began_ns DESC LIMIT ?"
        values: tuple[object, ...] = (limit,)
        if search:
            query = query.replace("ORDER", "WHERE id IN (SELECT trace FROM spans WHERE has_text(body, ?)) ORDER")
            values = (search, limit)
        for trace, change, stored in self._rows(query, values):
            summary = orjson.loads(stored) if stored else self._summary(trace, change)
            if summary is not None:
                yield summary

    def trace(self, id_: str) -> ViewedTrace | None:
        """Return a trace; None if there is none of that id."""
        spans = [span for line in self.lines(id_) for span in spans_of_json(orjson.loads(line))]
        return trace_of(spans) if spans else None

    def lines(self, id_: str) -> list[bytes]:
        """Return the spans of a trace as lines of OTLP's JSON."""
        return [body for (body,) in self._rows("SELECT body FROM spans WHERE trace = ?", (id_,))]

    def _summary(self, id_: str, change: int) -> dict[str, Any] | None:
        """Make and keep what lists show of a trace; None if the trace has gone meanwhile."""
        trace = self.trace(id_)
        if trace is None:
            return None
        summary = summary_of(trace)
        with self._writing() as cursor:
            stored = (orjson.dumps(summary), id_, change)
            cursor.execute("UPDATE traces SET summary = ? WHERE id = ? AND change = ?", stored)
        return summary

    def _make_room(self, cursor: sqlite3.Cursor) -> None:
        if _used_bytes(cursor) <= self._max_bytes:
            return
        for (trace,) in cursor.execute("SELECT id FROM traces ORDER BY began_ns").fetchall():
            cursor.execute("DELETE FROM spans WHERE trace = ?", (trace,))
            cursor.execute("DELETE FROM traces WHERE id = ?", (trace,))
            if _used_bytes(cursor) <= self._max_bytes * _KEPT:
                break

    def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        with self._lock, closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        with self._lock, closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            with self._connection:  # commits, or rolls back
                yield cursor
            cursor.execute("PRAGMA incremental_vacuum").fetchall()


def _used_bytes(cursor: sqlite3.Cursor) -> int:
    """Return what the pages of the file take that hold something."""
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (int(cursor.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return (pages - free) * size


def default_path() -> Path:
    """Return where the store is unless it is named: in the user's folder for data."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "runspan" / "traces.sqlite3"
