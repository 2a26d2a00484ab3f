"""Requests in a folder until they are delivered, a file each, shared by several processes.

A file is written beside its name and renamed, so what is there is whole, and survives ``kill -9``. Who sends it holds a
lock on it, which the kernel frees with its process; it goes when the receiver has it. Files hold prompts: they and the
folder are the user's alone.
"""

import os
import re
import secrets
import stat
import sys
import tempfile
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal, NamedTuple

from runspan._file_lock import close_locked, open_locked
from runspan.arguments import LARGEST, shown
from runspan.export.delivery_log import DeliveryLog
from runspan.export.encoding.requests import Request
from runspan.export.stats import DropReason

Durability = Literal["on-failure", "write-ahead"]

# When it was put, how many spans, how many of them shortened, how many bytes on disk, whose it is, a random number.
_NAME: Final = re.compile(r"(\d{19})-(\d{1,9})-(\d{1,9})-(\d{1,15})-([0-9a-f]{16})-[0-9a-f]{16}\.otlp")
_UNFINISHED: Final = re.compile(r"\w+\.part")
_UNFINISHED_SECONDS: Final = 3600.0
_NO_ROOM: Final = "{} requests can't be made room for in max_bytes ({:,}), unless others go first. Raise it."
_BLOCK_BYTES: Final = 4096
_CHECKSUM: Final = 8  # digits at the beginning of a file
# After so long others may have put so much that the room has to be measured again.
_MEASURE_AGAIN_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Spool:
    """Where requests wait on disk, and how long.

    Args:
        path: a folder on a local disk, for the spool alone; made if it is missing. Several processes may share it.
        durability: ``on-failure`` puts there what can't be delivered; ``write-ahead`` everything, before it is sent.
        interval_seconds: with ``write-ahead``, after how long a span is on disk: what ``kill -9`` may lose.
        max_bytes: how much the files may take; then the oldest spans are dropped.
        max_age_seconds: after how long spans are dropped.

    Raises:
        ValueError: if an argument has a value that can't be used.

    Example:
        >>> configure(spool=Spool("/var/lib/shop/spans", durability="write-ahead", max_bytes=10 * 1024**3))
    """

    path: str | os.PathLike[str]
    durability: Durability = "on-failure"
    interval_seconds: float = 0.5
    max_bytes: int = 1024**3
    max_age_seconds: float = 7 * 86_400.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not isinstance(self.path, str | os.PathLike) or not os.fspath(self.path):
            raise ValueError(f"path is {shown(self.path)}; it must name a folder.")
        if self.durability not in ("on-failure", "write-ahead"):
            raise ValueError(f"durability is {shown(self.durability)}; it must be 'on-failure' or 'write-ahead'.")
        for name, kinds in (("interval_seconds", int | float), ("max_bytes", int), ("max_age_seconds", int | float)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value <= LARGEST:
                raise ValueError(f"{name} is {shown(value)}; it must be a number above 0.")


class Entry(NamedTuple):
    """A request on disk, by what its name says."""

    name: str
    put_at: float
    spans: int
    shortened: int
    bytes: int
    owner: str


class Claim(NamedTuple):
    """A request that no other process sends while this one is open."""

    name: str
    request: Request
    descriptor: int


class UnusableError(OSError):
    """The folder can't be used now; the message says why and what helps."""


def read_spool(path: Path) -> list[bytes]:
    """Return the requests that wait in a folder, the oldest first, whoever they are for; they stay there.

    Raises:
        ValueError: if no request is there, or none that is whole.
        OSError: if the folder can't be read.
    """
    contents = [each.read_bytes() for each in sorted(path.iterdir()) if _NAME.fullmatch(each.name)]
    bodies = [each[_CHECKSUM:] for each in contents if each[:_CHECKSUM] == _checksum(each[_CHECKSUM:])]
    if not bodies:
        raise ValueError(f"{path} is a folder without spans that wait; give a file of OTLP, or the folder of a spool.")
    return bodies


class SpoolFolder:
    """The requests to one receiver in a folder; never raises because of that folder. Any thread may use it.

    Args:
        spool: the user's settings.
        receiver: the endpoint with all that goes with each request; what is there for others is left alone.
        clock: returns the time in seconds, for all processes the same.
    """

    def __init__(self, spool: Spool, receiver: str, *, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(os.path.abspath(os.path.expanduser(os.fspath(spool.path))))  # noqa: PTH100, PTH111  links stay
        self.spool = spool
        self._clock = clock
        self._owner = blake2b(receiver.encode("utf-8", "replace"), digest_size=8).hexdigest()
        self.reset_after_fork(None)

    def reset_after_fork(self, log: DeliveryLog | None) -> None:
        """Forget what this process has put: it was its parent."""
        self._log = log
        self._own: set[str] = set()
        self._failed: set[str] = set()
        self._room, self._measure_at = 0, 0.0

    def put(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Store requests, the oldest first; return those that could not be."""
        left: list[Request] = []
        pending = deque(requests)
        try:
            self._make_folder()
            while pending:
                if self._make_room(_on_disk(pending[0])):
                    self._own.add(self._write(pending[0]))
                else:
                    left.append(pending[0])
                pending.popleft()
        except OSError as error:
            self._note_failure(error)
        if left:
            self._note_failure(UnusableError(_NO_ROOM.format(len(left), self.spool.max_bytes)))
        return [*left, *pending]

    def entries(self) -> list[Entry] | None:
        """Return what waits for this receiver, the oldest first; None if unknown."""
        try:
            return [each for each in self._list() if each.owner == self._owner] if self._is_there() else []
        except OSError as error:
            self._note_failure(error)
            return None

    def has_own(self) -> bool:
        """Return whether something that this process has put may still be there; quick, however much others have."""
        for name in self._own.copy():  # another thread may put more
            try:
                (self.path / name).lstat()
            except FileNotFoundError:
                self._own.discard(name)
            except OSError:  # nobody knows
                return True
            else:
                return True
        return False

    def claims(self) -> Iterator[Claim]:
        """Take the requests that nobody sends one by one, the oldest first, those that failed here last.

        End each by ``done`` or ``free``.
        """
        entries = self._expired(self.entries() or [])
        yield from filter(None, map(self._open, sorted(entries, key=lambda each: each.name in self._failed)))

    def done(self, claim: Claim) -> None:
        """Remove what needs no other attempt."""
        self._failed.clear()
        self._remove(claim.name, claim.descriptor)

    def free(self, claim: Claim) -> None:
        """Leave a request that failed to another attempt, perhaps of another process."""
        self._failed.add(claim.name)
        close_locked(claim.descriptor)

    def _note_failure(self, error: OSError) -> None:
        if not isinstance(error, UnusableError):
            user = f"user {os.geteuid()}" if sys.platform != "win32" else "this user"
            why, remedy = error.strerror or error, f"Is there room? Else name a folder that {user} can write."
            error = UnusableError(f"{self.path} can't be used ({why}). {remedy}")
        if self._log is not None:
            self._log.spool_failed(str(error))

    def _make_folder(self) -> None:
        if not self._is_there():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)  # whatever the umask left
            self._is_there()

    def _is_there(self) -> bool:
        """Return whether there is a folder; refuse what is none of this user's alone, or may be replaced by others."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return False
        if stat.S_ISLNK(status.st_mode):
            raise UnusableError(f"{self.path} is a symbolic link. Name the folder that it leads to.")
        if not stat.S_ISDIR(status.st_mode):
            raise UnusableError(
                f"{self.path} is a file, perhaps a spool of an earlier version; now it is a folder. Name another path,"
                " the file stays as it is."
            )
        if sys.platform == "win32":
            return True
        if status.st_uid != os.geteuid():
            raise UnusableError(f"{self.path} belongs to user {status.st_uid}. Name a folder of user {os.geteuid()}.")
        if status.st_mode & 0o022:
            raise UnusableError(f"others may write to {self.path}. Name another folder, or 'chmod 700' this one.")
        around = self.path.parent.stat()
        if around.st_mode & 0o002 and not around.st_mode & stat.S_ISVTX:
            raise UnusableError(f"others may replace what is in {self.path.parent}. 'chmod +t' it, or go elsewhere.")
        return True

    def _list(self) -> list[Entry]:
        entries = []
        for name in sorted(os.listdir(self.path)):  # noqa: PTH208  names are all that is needed, perhaps of 100,000
            if (found := _NAME.fullmatch(name)) is not None:
                put_at, spans, shortened, size, owner = found.groups()
                entries.append(Entry(name, int(put_at) / 1e9, int(spans), int(shortened), int(size), owner))
            elif not name.startswith(".") and not _UNFINISHED.fullmatch(name):
                raise UnusableError(
                    f"{self.path} holds {shown(name)}, which is no spool's. Name a folder for it alone."
                )
        return entries

    def _make_room(self, size: int) -> bool:
        """Return whether a request of this size fits, for which the oldest ones may have to go."""
        if size > self.spool.max_bytes:
            return False
        began = time.monotonic()
        if size > self._room or began > self._measure_at:
            self._remove_unfinished()
            entries = self._expired(self._list())
            self._room = self.spool.max_bytes - sum(entry.bytes for entry in entries)
            # A second may have passed for 100,000 files: so there is soon no need to look again.
            wanted = size if size <= self._room else max(size, self.spool.max_bytes // 100)
            for entry in entries:
                if wanted > self._room and self._drop(entry, DropReason.SPOOL_FULL):
                    self._room += entry.bytes
            self._measure_at = began + max(_MEASURE_AGAIN_SECONDS, 20 * (time.monotonic() - began))
        if size > self._room:  # all else is on its way
            return False
        self._room -= size
        return True

    def _expired(self, entries: list[Entry]) -> list[Entry]:
        """Drop what is too old; return the rest."""
        limit = self._clock() - self.spool.max_age_seconds
        return [each for each in entries if each.put_at >= limit or not self._drop(each, DropReason.SPOOL_TOO_OLD)]

    def _drop(self, entry: Entry, reason: DropReason) -> bool:
        """Remove a request that nobody sends; return whether it is gone."""
        if (descriptor := self._locked(entry)) is not None:
            self._lose(entry, descriptor, reason)
        return not (self.path / entry.name).exists()

    def _locked(self, entry: Entry) -> int | None:
        """Open what nobody else has; None also if it can't be opened, which is no reason to leave the others there."""
        try:
            return open_locked(self.path / entry.name)
        except OSError as error:
            self._note_failure(error)
            return None

    def _remove_unfinished(self) -> None:
        """Remove what a process did not come to rename."""
        for path in self.path.glob("*.part"):
            with suppress(OSError):  # another one was faster
                if path.lstat().st_mtime < time.time() - _UNFINISHED_SECONDS:
                    path.unlink()

    def _write(self, request: Request) -> str:
        numbers = f"{int(self._clock() * 1e9):019d}-{request.spans}-{request.shortened}-{_on_disk(request)}"
        name = f"{numbers}-{self._owner}-{secrets.token_hex(8)}.otlp"
        descriptor, part = tempfile.mkstemp(".part", dir=self.path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.chmod(part, 0o600)  # noqa: PTH101  whatever the umask left
                file.write(_checksum(request.body) + request.body)
                file.flush()
                os.fsync(descriptor)
            Path(part).rename(self.path / name)
        except OSError:
            with suppress(OSError):
                Path(part).unlink()
            raise
        return name

    def _open(self, entry: Entry) -> Claim | None:
        """Claim a request; None if another one sends it, has sent it, or it is damaged."""
        if (descriptor := self._locked(entry)) is None:
            return None
        try:
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read()
        except OSError as error:  # the disk may give it another time
            self._note_failure(error)
            close_locked(descriptor)
            return None
        body = content[_CHECKSUM:]
        if content[:_CHECKSUM] == _checksum(body):
            return Claim(entry.name, Request(body, entry.spans, entry.shortened), descriptor)
        if content:
            self._lose(entry, descriptor, DropReason.SPOOL_DAMAGED)
        else:  # it was sent, where an open file can't be removed
            self._remove(entry.name, descriptor)
        return None

    def _lose(self, entry: Entry, descriptor: int, reason: DropReason) -> None:
        self._remove(entry.name, descriptor)
        if self._log is not None:
            self._log.note(reason, entry.spans)

    def _remove(self, name: str, descriptor: int) -> None:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)  # where it can't be removed while it is open, nobody sends it again
        with suppress(OSError):
            (self.path / name).unlink()
        close_locked(descriptor)
        if sys.platform == "win32":
            with suppress(OSError):
                (self.path / name).unlink()


def _on_disk(request: Request) -> int:
    return -(-(len(request.body) + _CHECKSUM) // _BLOCK_BYTES) * _BLOCK_BYTES


def _checksum(body: bytes) -> bytes:
    return b"%08x" % zlib.crc32(body)
