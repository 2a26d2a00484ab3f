"""The SQLite file of a spool: private, opened for one transaction at a time, set aside when it is damaged.

No connection outlives a call. SQLite keeps the locks of a file in the memory of the process, so a child that is forked
while its parent has the file open can't use it safely, not even by a connection of its own
(https://www.sqlite.org/howtocorrupt.html, section 2.6). And when nobody has the file open it can be renamed.
"""

import errno
import os
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from runspan._threads import PatientLock, sleep

if sys.platform != "win32":
    import fcntl

_T = TypeVar("_T")

_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700
_APPLICATION = 0x52756E73  # "Runs", in the file's header
_VERSION = 1
PAGE_BYTES = 4096
_SMALLEST_BYTES = 512  # SQLite would begin anew without a word
_WAIT_SECONDS = 3.0
_FORK_WAIT_SECONDS = 1.0
_STEP_SECONDS = 0.002
_TRIES = 3

# No column after body: what stands before it is read without it. Claims are apart, for a change in a row writes all of
# it again. Ids begin with the time, so that one of a file that was set aside is never one of the next file.
_SCHEMA = (
    """CREATE TABLE request (
        id INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, put_by TEXT NOT NULL, put_at REAL NOT NULL,
        spans INTEGER NOT NULL, shortened INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum INTEGER NOT NULL,
        body BLOB NOT NULL
    )""",
    "CREATE INDEX of_destination ON request (destination, id)",
    "CREATE TABLE claim (id INTEGER PRIMARY KEY, claimed_by TEXT NOT NULL, claimed_at REAL NOT NULL)",
    """CREATE TABLE total (
        destination TEXT NOT NULL, put_by TEXT NOT NULL,
        requests INTEGER NOT NULL, spans INTEGER NOT NULL, bytes INTEGER NOT NULL,
        PRIMARY KEY (destination, put_by)
    ) WITHOUT ROWID""",
    """CREATE TRIGGER put AFTER INSERT ON request BEGIN
        INSERT OR IGNORE INTO total VALUES (new.destination, new.put_by, 0, 0, 0);
        UPDATE total SET requests = requests + 1, spans = spans + new.spans, bytes = bytes + new.bytes
            WHERE destination = new.destination AND put_by = new.put_by;
    END""",
    """CREATE TRIGGER gone AFTER DELETE ON request BEGIN
        UPDATE total SET requests = requests - 1, spans = spans - old.spans, bytes = bytes - old.bytes
            WHERE destination = old.destination AND put_by = old.put_by;
        DELETE FROM total WHERE destination = old.destination AND put_by = old.put_by AND requests = 0;
        DELETE FROM claim WHERE id = old.id;
    END""",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)
_PRAGMAS = (
    f"page_size = {PAGE_BYTES}",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "secure_delete = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
)
# SQLITE_ERROR: our statements don't change, so it is the tables that are not ours.
_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_TOOBIG,
    }
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class UnusableError(Exception):
    """The file can't be used now; the message says why and what helps."""


class DamagedError(Exception):
    """The file holds what no spool holds."""


class Database:
    """One file, shared with other processes; what it is asked to do it does in one transaction, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[str] = []

    def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do something with the file, which is made if it is missing.

        Raises:
            UnusableError: Nothing was done.
        """
        try:
            with _use.by_this_thread():
                self._make_folder()
                with _locked(self.path.parent):
                    return self._run(work)
        except OSError as error:
            raise UnusableError(_explain_os_error(self.path, error)) from error
        except sqlite3.DatabaseError as error:
            raise UnusableError(_explain_sqlite_error(self.path, error)) from error

    def exists(self) -> bool:
        """Tell whether there is a file at all."""
        return self.path.exists()

    def told(self) -> str:
        """Return, once, what became of files that were damaged."""
        lines, self._lines = self._lines, []
        return " ".join(lines)

    def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        for _ in range(_TRIES):
            try:
                self._make_file()
                return self._transact(work)
            except DamagedError as damage:
                self._set_aside(str(damage))
        raise UnusableError(f"{self.path} is damaged as soon as it is made. Check that disk, or pass another path.")

    def _make_folder(self) -> None:
        folder = self.path.parent
        if not folder.exists():
            folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            folder.chmod(_PRIVATE_FOLDER)  # whatever the umask left

    def _make_file(self) -> None:
        """Make the file before SQLite would, which gives its other files the mode of this one."""
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE)
        except FileExistsError:
            # Not opened: to close it would end the locks that this process holds on it.
            self._check_file(self.path.stat())
        else:
            os.close(descriptor)
            self.path.chmod(_PRIVATE)  # the same

    def _check_file(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        if stat.S_IMODE(status.st_mode) != _PRIVATE:
            self.path.chmod(_PRIVATE)
        if 0 < status.st_size < _SMALLEST_BYTES:
            raise DamagedError("it is cut off")

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, timeout=_WAIT_SECONDS, isolation_level=None
        )
        try:
            connection.text_factory = _decode
            _prepare(connection)
            result = work(connection)
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if self._is_damage(error):
                raise DamagedError(str(error)) from error
            raise
        finally:
            connection.close()
        return result

    def _is_damage(self, error: sqlite3.DatabaseError) -> bool:
        code = error.sqlite_errorcode & 0xFF
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY:  # also said of a version in the header
            return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)
        return code in _DAMAGE

    def _set_aside(self, damage: str) -> None:
        aside = f"{self.path}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        for ending in ("", "-wal", "-shm", "-journal"):
            part = Path(f"{self.path}{ending}")
            if part.exists():
                part.rename(f"{aside}{ending}")
        self._lines.append(
            f"the spool {self.path} was damaged ({damage}) and is now {aside}; a new one is begun. What it held was not"
            " delivered; 'sqlite3 FILE .recover' may read it. Delete it when you don't need it, it holds prompts."
        )


def _prepare(connection: sqlite3.Connection) -> None:
    """Begin the transaction, in tables that are ours."""
    _is_new(connection)  # before anything is written: it may be another program's
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    if _is_new(connection):
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO sqlite_sequence VALUES ('request', ?)", (time.time_ns(),))


def _is_new(connection: sqlite3.Connection) -> bool:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (_APPLICATION, _VERSION):
        return False
    if (application, version) == (0, 0) and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        return True
    raise DamagedError("it is no spool, or one of another version")


def _decode(text: bytes) -> str:
    return text.decode(errors="replace")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes away from the spools of a folder; SQLite's locks don't cover making and renaming a file."""
    if sys.platform == "win32":  # where a file that is open can't be renamed
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait_for_lock(descriptor, folder)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # to close it is not enough while a forked child has it too
        os.close(descriptor)


def _wait_for_lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UnusableError(_explain_lock(folder)) from None
            sleep(_STEP_SECONDS)
        else:
            return


def _explain_lock(path: Path) -> str:
    return (
        f"{path} is locked by another process for more than {_WAIT_SECONDS:.3g} s. Is one stopped, or is the disk slow?"
    )


def _explain_os_error(path: Path, error: OSError) -> str:
    if error.errno in _FULL:
        return _explain_full(path, error)
    return f"{path} can't be opened ({error}). Pass a path that user {_user()} can write, on a local disk."


def _explain_sqlite_error(path: Path, error: sqlite3.DatabaseError) -> str:
    code = error.sqlite_errorcode & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return _explain_lock(path)
    if code == sqlite3.SQLITE_FULL:
        return _explain_full(path, error)
    return (
        f"{path} can't be used ({error.sqlite_errorname}: {error}). Is there room on its disk? Otherwise pass a path"
        f" that user {_user()} can write, on a local disk."
    )


def _explain_full(path: Path, error: Exception) -> str:
    return f"there is no room for {path} ({error}). Make room on its disk, or pass another path or a lower max_bytes."


def _user() -> str:
    return str(os.geteuid()) if sys.platform != "win32" else os.getlogin()


class _Use:
    """Lets one thread at a time into SQLite, so that none is there when the process forks."""

    def __init__(self) -> None:
        self._lock = PatientLock()
        self._forking = threading.local()
        self._is_inherited = False

    @contextmanager
    def by_this_thread(self) -> Iterator[None]:
        """Wait for the others, but not for long."""
        if self._is_inherited:
            raise UnusableError("this process was forked while its parent wrote to the spool. Fork earlier.")
        lock = self._lock
        if not lock.acquire(_WAIT_SECONDS):
            raise UnusableError(f"another thread uses it for more than {_WAIT_SECONDS:.3g} s. Is the disk slow?")
        try:
            yield
        finally:
            lock.release()

    def before_fork(self) -> None:
        """Wait until no thread is in SQLite, but not for long, for the application waits."""
        self._forking.is_held = self._lock.acquire(_FORK_WAIT_SECONDS)

    def after_in_parent(self) -> None:
        """Let the threads go on."""
        if self._forking.is_held:
            self._lock.release()

    def after_in_child(self) -> None:
        """Begin with a lock of our own; what SQLite had open stays unusable."""
        self._is_inherited |= not self._forking.is_held
        self._lock = PatientLock()


_use = _Use()

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_use.before_fork, after_in_parent=_use.after_in_parent, after_in_child=_use.after_in_child
    )
