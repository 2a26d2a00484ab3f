"""What a spool keeps, for how long, and how much; compared with a list in memory."""

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runspan import Spool
from runspan.export.encoding.requests import Request
from runspan.export.spool import SpoolFolder
from tests.export.spools import RECEIVER, Losses, bodies, folder

FIRST, SECOND = Request(b"first", spans=2, shortened=1), Request(b"second", spans=3)
MEBIBYTE = 1024**2


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def spool(path):
    return folder(path)


def test_what_is_put_is_taken_once_until_it_is_freed(path, spool):
    """Requests come back as they were put, the oldest first; one that was taken is nobody else's until freed."""
    assert spool.put([FIRST, SECOND]) == []
    claims = spool.claims()
    first = next(claims)
    assert first.request == FIRST
    other = folder(path)
    assert bodies(other) == [b"second"]
    spool.free(first)
    assert bodies(other) == [b"first", b"second"]


def test_whether_its_own_is_gone_takes_no_look_at_the_others(path, spool, monkeypatch):
    """Each flush asks, and there may be 100,000 files: only those that this process has put are looked for."""
    spool.put([FIRST, SECOND])
    other = folder(path)
    claims = [*other.claims()]
    monkeypatch.setattr(os, "listdir", None)
    assert not other.has_own()
    for claim in claims:
        assert spool.has_own()
        other.done(claim)
    assert not spool.has_own()


def test_what_is_done_is_gone(spool):
    """What was delivered is not taken again, what is on its way still counts as waiting."""
    spool.put([FIRST, SECOND])
    claim = next(spool.claims())
    assert [entry.spans for entry in spool.entries()] == [2, 3]
    spool.done(claim)
    assert [entry.spans for entry in spool.entries()] == [3]
    assert spool.has_own()
    spool.done(next(spool.claims()))
    assert (spool.entries(), spool.has_own(), bodies(spool)) == ([], False, [])


def test_what_failed_here_comes_last(path, spool):
    """A request that never gets through does not stand in the way of the others."""
    spool.put([FIRST, SECOND])
    spool.free(next(spool.claims()))
    assert bodies(spool) == [b"second", b"first"]
    assert bodies(folder(path)) == [b"first", b"second"]


def test_each_receiver_has_its_own(path, spool):
    """Requests to another receiver in the same folder are not taken and not counted."""
    other = SpoolFolder(Spool(path), "http://other:4318")
    spool.put([FIRST])
    other.put([SECOND])
    assert [entry.spans for entry in spool.entries()] == [2]
    assert (bodies(spool), bodies(other)) == ([b"first"], [b"second"])


def test_the_folder_is_made_when_it_is_needed(tmp_path):
    """Nothing is there before the first request is put."""
    spool = folder(tmp_path / "new" / "spool")
    assert (bodies(spool), spool.entries(), list(tmp_path.iterdir())) == ([], [], [])
    spool.put([FIRST])
    assert bodies(spool) == [b"first"]


def test_what_never_fits_is_left(path):
    """A request larger than all the room is left to the caller, and no other makes way for it."""
    losses = Losses()
    spool = folder(path, losses, max_bytes=20_000)
    large = Request(bytes(20_000), spans=1)
    assert spool.put([FIRST, large, SECOND]) == [large]
    (reason,) = losses.reasons
    assert reason == "1 requests can't be made room for in max_bytes (20,000), unless others go first. Raise it."
    assert (losses.lost, bodies(spool)) == ({}, [b"first", b"second"])


def test_what_was_never_renamed_goes(path):
    """A file that a process left half written goes an hour later, when room is made; a newer one stays."""
    spool = folder(path)
    spool.put([FIRST])
    old, new = path / "a.part", path / "b.part"
    for each in (old, new):
        each.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert folder(path).put([SECOND]) == []
    assert (old.exists(), new.exists()) == (False, True)
    assert bodies(spool) == [FIRST.body, SECOND.body]


def test_files_that_can_not_be_opened_stay(path, monkeypatch):
    """Where no file of the folder can be opened all stays for the next time, and the log says why."""
    losses = Losses()
    spool = folder(path, losses)
    spool.put([FIRST, SECOND])

    def fail(_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("runspan.export.spool.open_locked", fail)
        assert list(spool.claims()) == []
    assert "Too many open files" in losses.reasons[0]
    assert bodies(spool) == [FIRST.body, SECOND.body]


def test_a_file_that_can_not_be_opened_holds_up_no_other(path):
    """One that can't be opened stays, also when it is too old; what is behind it is sent, and new ones are put."""
    losses, now = Losses(), [1e9]
    spool = SpoolFolder(Spool(path, max_age_seconds=100), RECEIVER, clock=lambda: now[0])
    spool.reset_after_fork(losses)
    spool.put([FIRST])
    (file,) = path.iterdir()
    file.unlink()
    file.mkdir()
    for now[0] in (1e9 + 1, 1e9 + 200):
        assert spool.put([SECOND]) == []
        assert bodies(spool) == [SECOND.body]
    assert len(losses.reasons) > 0


def test_a_file_that_can_not_be_read_stays(path, monkeypatch):
    """What a disk does not give now it may give later; until then nothing is lost, and the log says why."""
    losses = Losses()
    spool = folder(path, losses)
    spool.put([FIRST])

    def refuse(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("runspan.export.spool.open", refuse, raising=False)
        assert bodies(spool) == []
    assert losses.lost == {}
    assert "Input/output error" in losses.reasons[0]
    assert bodies(spool) == [FIRST.body]


def test_where_files_can_not_be_locked_none_stays_open(path, monkeypatch):
    """A file system without locks leaves no descriptor behind, however often the files are looked at."""
    losses = Losses()
    spool = folder(path, losses)
    spool.put([FIRST, SECOND])

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("runspan._file_lock._lock", refuse)
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(20):
        assert bodies(spool) == []
    assert len([*Path("/proc/self/fd").iterdir()]) < before + 20
    assert "No locks available" in losses.reasons[0]


def test_the_folder_stays_within_its_bytes(path):
    """However much is put, the files take no more than allowed; what made room is counted."""
    losses = Losses()
    spool = folder(path, losses, max_bytes=2 * MEBIBYTE)
    for size in range(100, 50_000, 999):
        assert spool.put([Request(bytes(size), 1)] * 10) == []
    entries = spool.entries()
    assert len(entries) + losses.lost["spool_full"] == 500
    assert MEBIBYTE < sum(file.stat().st_size for file in path.iterdir()) <= 2 * MEBIBYTE


def test_a_full_folder_is_not_listed_for_each_request(path, monkeypatch):
    """To look at 100,000 files takes half a second: room is made for some requests at once."""
    losses, looks, listed = Losses(), [], os.listdir
    spool = folder(path, losses, max_bytes=1000 * 4096)
    spool.put([FIRST] * 1000)
    monkeypatch.setattr(os, "listdir", lambda path: looks.append(path) or listed(path))
    assert spool.put([FIRST] * 100) == []
    assert len(looks) < 50
    assert len(spool.entries()) + losses.lost["spool_full"] / FIRST.spans == 1100


def test_two_processes_keep_to_the_bytes_together(path):
    """What another one has put is seen in time: the folder hardly outgrows its bound."""
    spools = [folder(path, max_bytes=MEBIBYTE) for _ in range(2)]
    for spool in spools * 20:
        spool.put([Request(bytes(50_000), 1)])
    assert sum(file.stat().st_size for file in path.iterdir()) <= 2 * MEBIBYTE


@pytest.mark.parametrize("umask", [0, 0o277])
def test_files_are_private(tmp_path, umask):
    """The user alone can read the folder and what is in it, whatever the umask."""
    before = os.umask(umask)
    try:
        path = tmp_path / "spool"
        folder(path).put([FIRST])
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert [stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()] == [0o600]
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"path": 5}, "path is 5; it must name a folder."),
        ({"path": ""}, "path is ''; it must name a folder."),
        ({"durability": "always"}, "durability is 'always'; it must be 'on-failure' or 'write-ahead'."),
        ({"interval_seconds": 0}, "interval_seconds is 0; it must be a number above 0."),
        ({"interval_seconds": float("nan")}, "interval_seconds is nan; it must be a number above 0."),
        ({"max_bytes": 1.5}, "max_bytes is 1.5; it must be a number above 0."),
        ({"max_age_seconds": True}, "max_age_seconds is True; it must be a number above 0."),
        ({"max_age_seconds": float("inf")}, "max_age_seconds is inf; it must be a number above 0."),
    ],
    ids=str,
)
def test_settings_are_checked(wrong, message):
    """What can't be meant is refused where it is written, in one line with the name of the setting."""
    with pytest.raises(ValueError, match=r".") as raised:
        Spool(**{"path": "spool", **wrong})
    assert str(raised.value) == message


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 14_000), st.integers(1, 9), st.sampled_from(["put", "done", "free", "old"]))))
def test_every_span_is_there_done_or_counted(steps):
    """Whatever is put, sent, freed or left for too long: no span is gone without a number that says why."""
    with tempfile.TemporaryDirectory() as parent:
        now, losses, put, done = 1000.0, Losses(), 0, 0
        spool = SpoolFolder(Spool(Path(parent) / "spool", max_bytes=40_000, max_age_seconds=100), "", clock=lambda: now)
        spool.reset_after_fork(losses)
        for size, spans, step in steps:
            now += 101 if step == "old" else 0.001
            if step == "put":
                assert spool.put([Request(bytes(size), spans)]) == []
                put += spans
            elif (claim := next(spool.claims(), None)) is not None:
                done += claim.request.spans if step == "done" else 0
                (spool.done if step == "done" else spool.free)(claim)
            left = sum(entry.spans for entry in spool.entries())
            assert put == done + left + sum(losses.lost.values())
            assert sum(entry.bytes for entry in spool.entries()) <= 40_000
        assert set(losses.lost) <= {"spool_full", "spool_too_old"}
