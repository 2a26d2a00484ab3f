"""A spool that is damaged, full, locked or can't be written: it says so and goes on as soon as it can."""

import fcntl
import functools
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runspan.export.request import Request
from runspan.export.spool.files import Put, Spool, SpoolFile, Waiting

REQUEST = Request(b"a prompt", spans=2)
MANY = [Request(bytes([number]) * (number * 700), spans=number) for number in range(1, 30)]
LONGEST_WAIT_SECONDS, MARGIN_SECONDS = 3, 5


def bodies(taken):
    return [stored.request.body for stored in taken.stored]


def sqlite_file(path, statements="CREATE TABLE mine (name)"):
    connection = sqlite3.connect(path)
    connection.executescript(statements)
    connection.close()


DAMAGES = {
    "text": (lambda path: path.write_text("notes\n" * 1000), "file is not a database"),
    "a few bytes": (lambda path: path.write_bytes(b"x"), "it is cut off"),
    "another program's": (sqlite_file, "it is no spool, or one of another version"),
    "another version": (
        lambda path: sqlite_file(path, "PRAGMA application_id = 1383427699; PRAGMA user_version = 2"),
        "it is no spool, or one of another version",
    ),
    "no tables": (
        lambda path: sqlite_file(path, "PRAGMA application_id = 1383427699; PRAGMA user_version = 1"),
        "no such table: request",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_spool_is_set_aside(tmp_path, damage):
    """The file is kept under another name, which is told once; a new one is begun."""
    make, cause = DAMAGES[damage]
    path = tmp_path / "spool.db"
    make(path)
    found = path.read_bytes()
    spool = SpoolFile(Spool(path), "")
    put = spool.put([REQUEST])
    (aside,) = (file for file in tmp_path.iterdir() if ".damaged-" in file.name)
    assert put == Put(
        set_aside=f"the spool {path} was damaged ({cause}) and is now {aside}; a new one is begun. What it held was not"
        " delivered; 'sqlite3 FILE .recover' may read it. Delete it when you don't need it, it holds prompts."
    )
    if damage != "no tables":  # which has the mark of a spool
        assert aside.read_bytes() == found
    assert (spool.put([]), bodies(spool.take(1))) == (Put(), [b"a prompt"])


def test_a_request_that_was_changed_is_not_sent(tmp_path):
    """Bytes of a body that are others than were put make the file a damaged one."""
    path = tmp_path / "spool.db"
    spool = SpoolFile(Spool(path), "")
    spool.put([Request(b"a prompt" * 1000, 1)])
    path.write_bytes(path.read_bytes().replace(b"a prompt", b"a qrompt"))
    taken = spool.take(1)
    assert taken.stored == ()
    assert "was damaged (a request was changed)" in taken.set_aside


@settings(max_examples=30)
@given(
    part=st.sampled_from(["spool.db", "spool.db-wal", "spool.db-shm"]),
    holes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4096)), max_size=4),
    length=st.floats(0, 1) | st.just(1),
)
def test_damage_is_survived(part, holes, length):
    """Whatever bytes are overwritten or missing, nothing is raised, and what is put afterwards is taken."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: bytearray(content) for name, content in half_written().items()}
        content = files[part]
        del content[int(length * len(content)) :]
        for place, hole in holes:
            start = int(place * len(content))
            content[start : start + len(hole)] = hole
        for name, whole in files.items():
            (Path(folder) / name).write_bytes(whole)
        spool = SpoolFile(Spool(Path(folder) / "spool.db"), "")
        spool.waiting()
        for _ in range(3):
            taken = spool.take(50_000)
            spool.give_back([stored.id for stored in taken.stored[:1]])
            spool.done([stored.id for stored in taken.stored[1:]])
        assert any(put_and_taken(spool) for _ in range(3))


def put_and_taken(spool):
    """Tell whether a request comes back; it may be lost once, with a file that is found to be damaged afterwards."""
    put = spool.put([REQUEST])
    assert (put.left, put.reason) == ((), "")
    taken = spool.take(10_000_000)
    assert taken.reason == ""
    return b"a prompt" in bodies(taken)


@functools.cache
def half_written():
    """Return the files of a spool as kill -9 leaves it, a part in SQLite's log."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool.db"
        spool = SpoolFile(Spool(path), "")
        spool.put(MANY)
        reader = sqlite3.connect(path)
        reader.execute("SELECT * FROM total").fetchall()
        spool.put(MANY)
        files = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
        reader.close()
        return files


def test_a_path_that_can_not_be(tmp_path):
    """What stands in the way is named with what helps; once it is gone the spool works."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path, cause in [
        (tmp_path / "file" / "spool.db", "Not a directory"),
        (tmp_path / "folder", "it is not a file"),
        (Path("/dev/null"), "it is not a file"),
        (Path("/proc/no/spool.db"), "No such file or directory"),
        (Path("/proc/spool.db"), "No such file or directory"),
    ]:
        spool = SpoolFile(Spool(path), "")
        put = spool.put([REQUEST])
        assert (put.left, put.set_aside) == ((REQUEST,), "")
        assert put.reason.startswith(f"{path} can't be opened (")
        assert cause in put.reason
        assert put.reason.endswith(f"Pass a path that user {os.geteuid()} can write, on a local disk.")
        spool.take(1)
        spool.done([1])
    (tmp_path / "folder").rmdir()
    assert SpoolFile(Spool(tmp_path / "folder"), "").put([REQUEST]) == Put()
    assert oct(Path("/dev/null").stat().st_mode & 0o777) == "0o666"


def run(code, *arguments):
    """Run lines of code in a process of its own, return what it prints."""
    preamble = """
import os, resource, sys
from runspan.export.request import Request
from runspan.export.spool.files import Put, Spool, SpoolFile

"""
    command = [sys.executable, "-c", preamble + dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_full_disk(tmp_path):
    """Where there is no room nothing is raised and what was there stays; the next put after there is room works."""
    path = tmp_path / "spool.db"
    said = run(
        """
        spool = SpoolFile(Spool(sys.argv[1]), "")
        small, large = Request(b"small", 1), Request(bytes(1_000_000), 1)
        assert spool.put([small]) == Put()
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        put = spool.put([large])
        print(put.reason)
        assert (put.left, put.set_aside) == ((large,), "")
        assert spool.waiting().requests == 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert spool.put([large]) == Put()
        assert [stored.request for stored in spool.take(10_000_000).stored] == [small, large]
        """,
        path,
    )
    assert len(said) == 1
    assert "Is there room on its disk?" in said[0] or "there is no room" in said[0]


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o400, 0o777), (0o600, 0o555), (0o600, 0o000)])
def test_what_may_not_be_written(file_mode, folder_mode):
    """A file or folder that is read-only, or not ours, is left as it is, with a reason."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "inner" / "spool.db"
        SpoolFile(Spool(path), "").put([REQUEST])
        path.chmod(file_mode)
        path.parent.chmod(folder_mode)
        (reason,) = run(
            """
            if os.geteuid() == 0:
                os.setuid(65534)
            spool = SpoolFile(Spool(sys.argv[1]), "")
            put = spool.put([Request(b"", 1)])
            assert (len(put.left), put.set_aside) == (1, "")
            print(put.reason)
            """,
            path,
        )
        path.parent.chmod(0o755)
        assert reason.startswith(f"{path} can't be ")
        assert " can write, on a local disk." in reason
        assert [file.name for file in path.parent.iterdir()] == ["spool.db"]


def test_what_is_delivered_while_the_file_is_locked(tmp_path):
    """It costs some seconds; what was delivered meanwhile is deleted when the file is free."""
    path = tmp_path / "spool.db"
    spool = SpoolFile(Spool(path), "")
    spool.put([REQUEST])
    (stored,) = spool.take(1).stored
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    spool.done([stored.id])
    assert time.monotonic() - began < LONGEST_WAIT_SECONDS + MARGIN_SECONDS
    connection.close()
    assert spool.put([]) == Put()
    assert spool.waiting() == Waiting()


def test_why_it_is_locked(tmp_path):
    """A lock that isn't let go of is the reason that a put gives; then it works again."""
    spool = SpoolFile(Spool(tmp_path / "spool.db"), "")
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    assert spool.put([REQUEST]) == Put(
        left=(REQUEST,),
        reason=f"{tmp_path} is locked by another process for more than 3 s. Is one stopped, or is the disk slow?",
    )
    os.close(folder)
    assert spool.put([REQUEST]) == Put()
