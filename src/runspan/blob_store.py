"""Where media are kept that spans refer to: any storage that fsspec knows, filled off the path of the application."""

import collections
import functools
import logging
import mimetypes
import time
from collections import deque
from contextlib import suppress
from math import inf
from typing import Any, Final
from uuid import uuid4
from weakref import WeakValueDictionary

from opentelemetry.metrics import Counter, get_meter

from runspan._forking import fork_safe_lock, in_forked_child
from runspan._guard import attempt
from runspan._process_exit import at_exit
from runspan._threads import Event
from runspan._version import __version__
from runspan._worker import Worker
from runspan.payload.blobs import Blob, BlobKey
from runspan.semconv import delivery_names

_logger = logging.getLogger("runspan")
_MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
_REMEMBERED_BLOBS: Final = 4_096
_EXIT_SECONDS: Final = 4.0
_EXTENSIONS: Final = mimetypes.MimeTypes()


class BlobStore:
    """Uploads media to a folder, each under a name of its own, by a thread that is there while some wait.

    Args:
        url: the folder, as fsspec has it, such as ``s3://bucket/media``.
    """

    def __init__(self, url: str) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        """How many were ``stored``, ``failed``, or ``dropped`` since too much was waiting."""
        self._lost_before = 0
        self._url = url.rstrip("/")
        self._uris: dict[BlobKey, str] = {}
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Leave what waits to the parent process."""
        self._waiting: deque[tuple[str, Blob, BlobKey] | Event] = deque()
        self._waiting_bytes = 0
        self._file_system: Any = None
        self._worker = Worker(self._step)

    def put(self, blob: Blob) -> str | None:
        """Have a blob uploaded and return where it is going to be; None if too much waits already."""
        # To hash a text once is all that is done here; what is decoded or digested is the thread's work.
        key = blob.key
        if (known := self._uris.get(key)) is not None:
            return known
        if self._waiting_bytes + len(blob) > _MOST_WAITING_BYTES:
            self._count("dropped")
            return None
        extension = _EXTENSIONS.guess_extension(blob.mime_type or "") or ""
        uri = f"{self._url}/{uuid4().hex}{extension}"
        if len(self._uris) >= _REMEMBERED_BLOBS:
            self._uris.clear()
        self._uris[key] = uri
        self._waiting_bytes += len(blob)
        self._waiting.append((uri, blob, key))
        self._worker.wake()
        return uri

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Wait until what waits now was uploaded; return whether all since the last flush was stored, in time."""
        until = time.monotonic() + timeout_millis / 1000
        reached = Event()
        self._waiting.append(reached)
        if not self._worker.wake():  # as when Python exits
            self._worker.work_here(until)
        is_done = reached.wait(max(until - time.monotonic(), 0))
        lost, lost_before = self.counts["failed"] + self.counts["dropped"], self._lost_before
        self._lost_before = lost
        return is_done and lost == lost_before

    def _step(self) -> float:
        """Upload what waits longest; return when the next is due."""
        if self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, Event):
                item.set()
            else:
                self._store(*item)
        return 0.0 if self._waiting else inf

    def _store(self, uri: str, blob: Blob, key: BlobKey) -> None:
        is_stored = False
        with suppress(SystemExit):  # gets through in a thread of the application
            is_stored = attempt(self._upload, uri, blob, default=False)
        self._waiting_bytes -= len(blob)
        self._count("stored" if is_stored else "failed")
        if not is_stored:
            self._uris.pop(key, None)  # the next time that it comes it is stored anew

    def _upload(self, uri: str, blob: Blob) -> bool:
        if self._file_system is None:
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # noqa: PLC0415  an extra, without types

            self._file_system, folder = url_to_fs(self._url)
            if "file" in self._file_system.protocol:  # elsewhere folders are part of names, or may not be made
                self._file_system.makedirs(folder, exist_ok=True)
        self._file_system.pipe_file(uri, blob.decoded())
        return True

    def _count(self, outcome: str) -> None:
        self.counts[outcome] += 1
        _counter().add(1, {delivery_names.BLOB_OUTCOME: outcome})
        if outcome != "stored" and self.counts[outcome] == 1:
            _logger.warning(
                "A medium was not stored at %s (%s): %s Further ones are only counted.",
                self._url,
                outcome,
                _REMEDIES[outcome],
            )


_REMEDIES: Final = {
    "failed": "spans refer to a file that is not there. Check that the folder exists, that its package is installed and"
    " that this process may write there.",
    "dropped": "more than 64 MB were waiting, so its span has the digest alone. Is the storage slow?",
}
_stores: Final[WeakValueDictionary[str, BlobStore]] = WeakValueDictionary()
_stores_lock: Final = fork_safe_lock()


@functools.cache
def _counter() -> Counter:
    return get_meter("runspan", __version__).create_counter(
        delivery_names.BLOBS, "{blob}", "media, by what became of them"
    )


def store_at(url: str) -> BlobStore:
    """Return the store of this process for a URL."""
    with _stores_lock:
        store = _stores.get(url)
        if store is None:
            store = _stores[url] = BlobStore(url)
        return store


def _flush_all() -> None:
    until = time.monotonic() + _EXIT_SECONDS
    for store in list(_stores.values()):
        store.force_flush(int(max(until - time.monotonic(), 0) * 1000))


at_exit(_flush_all)


@in_forked_child
def _reset_after_fork() -> None:
    for store in list(_stores.values()):
        store.reset_after_fork()
