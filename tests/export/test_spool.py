"""What a spool keeps, for how long, and how much; compared with lists in memory."""

import os
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import ValidationError

from runspan.export.request import Request
from runspan.export.spool.files import Put, Spool, SpoolFile, Taken, Waiting

FIRST, SECOND = Request(b"first", spans=2, shortened=1), Request(b"second", spans=3)
MEBIBYTE = 1024**2


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.db"


@pytest.fixture
def spool(path):
    return SpoolFile(Spool(path), "http://collector:4318")


def bodies(taken):
    return [stored.request.body for stored in taken.stored]


def ids(taken):
    return [stored.id for stored in taken.stored]


def test_what_is_put_is_taken_once_until_it_is_given_back(spool):
    """Requests come back as they were put, the oldest first; one that was taken is nobody else's until given back."""
    assert spool.put([FIRST, SECOND]) == Put()
    taken = spool.take(MEBIBYTE)
    assert [stored.request for stored in taken.stored] == [FIRST, SECOND]
    assert spool.take(MEBIBYTE) == Taken()
    spool.give_back(ids(taken))
    assert bodies(spool.take(1)) == [b"first"]
    assert bodies(spool.take(1)) == [b"second"]


def test_what_is_done_is_gone(spool):
    """What was delivered is not taken again, what is on its way still counts as waiting."""
    spool.put([FIRST, SECOND])
    taken = spool.take(1)
    assert spool.waiting() == Waiting(requests=2, spans=5)
    spool.done(ids(taken))
    assert spool.waiting() == spool.waiting(own=True) == Waiting(requests=1, spans=3)
    spool.done(ids(spool.take(1)))
    assert spool.waiting() == Waiting()
    assert spool.take(1) == Taken()


def test_each_destination_has_its_own(path, spool):
    """Requests to another destination in the same file are not taken and not counted."""
    other = SpoolFile(Spool(str(path)), "http://other:4318")
    spool.put([FIRST])
    other.put([SECOND])
    assert (spool.waiting(), other.waiting()) == (Waiting(1, 2), Waiting(1, 3))
    assert (bodies(spool.take(MEBIBYTE)), bodies(other.take(MEBIBYTE))) == ([b"first"], [b"second"])


def test_the_file_is_made_when_it_is_needed(tmp_path):
    """Only a put makes file and folder; one without requests tries whether it can."""
    spool = SpoolFile(Spool(tmp_path / "new" / "spool.db"), "")
    assert (spool.take(1), spool.waiting()) == (Taken(), Waiting())
    spool.done([1])
    spool.give_back([1])
    assert list(tmp_path.iterdir()) == []
    assert spool.put([]) == Put()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["spool.db"]


def test_what_never_fits_is_left(path):
    """A request larger than all the room is left to the caller, and no other makes way for it."""
    spool = SpoolFile(Spool(path, max_bytes=20_000), "")
    large = Request(bytes(20_000), spans=1)
    assert spool.put([FIRST, large, SECOND]) == Put(
        left=(large,),
        reason="1 of the requests can't be made room for in max_bytes (20,000), unless others go first. Raise it.",
    )
    assert bodies(spool.take(MEBIBYTE)) == [b"first", b"second"]


def test_the_file_stays_within_its_bytes(path):
    """However much is put, the file is hardly larger than allowed, and small again when all is delivered."""
    spool = SpoolFile(Spool(path, max_bytes=2 * MEBIBYTE), "")
    dropped = sum(spool.put([Request(bytes(size), 1)] * 10).dropped_for_room for size in range(100, 50_000, 999))
    assert spool.waiting() == Waiting(500 - dropped, 500 - dropped)
    assert MEBIBYTE < path.stat().st_size < 2.1 * MEBIBYTE
    while taken := ids(spool.take(MEBIBYTE)):
        spool.done(taken)
    assert path.stat().st_size < 40_000


def test_what_is_delivered_is_not_in_the_file(path, spool):
    """A body that was deleted is overwritten."""
    spool.put([Request(b"a secret prompt" * 1000, 1), FIRST])
    assert b"a secret prompt" in path.read_bytes()
    spool.done(ids(spool.take(1)))
    assert b"a secret prompt" not in path.read_bytes()
    assert bodies(spool.take(1)) == [b"first"]


@pytest.mark.parametrize("umask", [0, 0o277])
def test_files_are_private(tmp_path, umask):
    """The user alone can read the file and what SQLite puts beside it, whatever the umask, in a folder of its own or
    not."""
    before = os.umask(umask)
    try:
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o755)
        for folder in ("open", "new"):
            path = tmp_path / folder / "spool.db"
            spool = SpoolFile(Spool(path), "")
            spool.put([FIRST])
            reader = sqlite3.connect(path)
            reader.execute("SELECT * FROM total").fetchall()
            spool.put([SECOND])
            modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()}
            assert modes == {"spool.db": "0o600", "spool.db-wal": "0o600", "spool.db-shm": "0o600"}
            reader.close()
    finally:
        os.umask(before)
    assert oct((tmp_path / "new").stat().st_mode & 0o777) == "0o700"


def test_a_file_that_others_can_read_is_made_private(path, spool):
    """A file that is there already is not left open to others."""
    path.touch(0o644)
    path.chmod(0o644)
    assert spool.put([FIRST]) == Put()
    assert oct(path.stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize(
    "wrong",
    [
        {"durability": "always"},
        {"interval": 0},
        {"interval": float("nan")},
        {"max_bytes": 0},
        {"max_age": -1},
        {"max_age": float("inf")},
    ],
    ids=str,
)
def test_settings_are_checked(wrong):
    """What can't be meant is refused where it is written, with the name of the setting."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Spool("spool.db", **wrong)


@dataclass
class Row:
    id: int
    destination: str
    request: Request
    put_at: int
    claimed_at: int | None = None

    @property
    def bytes(self):
        """Whole pages of 4096, of which SQLite uses 4092, for the body and 512 bytes about it."""
        return -(-(len(self.request.body) + 512) // 4092) * 4096


MAX_BYTES, MAX_AGE, LEASE = 12 * 4096, 100, 60
DESTINATIONS = ("a", "b")
REQUESTS = st.builds(Request, st.integers(0, 14_000).map(bytes), st.integers(1, 9), st.integers(0, 2))


class SpoolAndModel(RuleBasedStateMachine):
    """Two destinations in one small file, and what should be in it."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1000
        spool = Spool(Path(self.folder.name) / "spool.db", max_bytes=MAX_BYTES, max_age=MAX_AGE)
        self.files = {name: SpoolFile(spool, name, lease=LEASE, clock=lambda: self.now) for name in DESTINATIONS}
        self.rows = []
        self.taken = []
        self.spans_put = self.spans_dropped = self.spans_done = 0

    def teardown(self):
        assert [path.name for path in Path(self.folder.name).iterdir()] in ([], ["spool.db"])
        self.folder.cleanup()

    @rule(seconds=st.sampled_from([1, 59, 60, 61, 101, -30]))
    def wait(self, seconds):
        self.now += seconds

    @rule(destination=st.sampled_from(DESTINATIONS), requests=st.lists(REQUESTS, max_size=4))
    def put(self, destination, requests):
        too_old, dropped, left = self.expire(), 0, []
        for request in requests:
            row = Row(0, destination, request, self.now)
            claimed = sum(each.bytes for each in self.rows if each.claimed_at is not None)
            if row.bytes + claimed > MAX_BYTES:
                left.append(request)
                continue
            while sum(each.bytes for each in self.rows) + row.bytes > MAX_BYTES:
                dropped += self.drop(next(each for each in self.rows if each.claimed_at is None))
            self.rows.append(row)
            self.spans_put += request.spans
        put = self.files[destination].put(requests)
        assert (put.dropped_for_age, put.dropped_for_room, list(put.left)) == (too_old, dropped, left)
        assert bool(put.reason) == bool(left)

    @rule(destination=st.sampled_from(DESTINATIONS), pages=st.integers(0, 8))
    def take(self, destination, pages):
        if not self.rows:  # perhaps there is no file yet
            return
        too_old, expected, room = self.expire(), [], pages * 4096
        for row in self.rows:
            if row.destination == destination and row.claimed_at is None:
                room -= row.bytes
                if expected and room < 0:
                    break
                expected.append(row)
        taken = self.files[destination].take(pages * 4096)
        assert taken.dropped_for_age == too_old
        assert [each.request for each in taken.stored] == [row.request for row in expected]
        for row, stored in zip(expected, taken.stored, strict=True):
            row.id, row.claimed_at = stored.id, self.now
        self.taken.extend((destination, stored.id) for stored in taken.stored)

    @rule(data=st.data())
    def done(self, data):
        if self.taken:
            destination, number = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
            self.files[destination].done([number])
            for row in [row for row in self.rows if row.id == number]:
                self.rows.remove(row)
                self.spans_done += row.request.spans

    @rule(data=st.data())
    def give_back(self, data):
        if self.taken:
            destination, number = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
            self.files[destination].give_back([number])
            for row in self.rows:
                row.claimed_at = None if row.id == number else row.claimed_at

    @invariant()
    def is_counted(self):
        for destination, file in self.files.items():
            requests = [row.request for row in self.rows if row.destination == destination]
            assert file.waiting() == Waiting(len(requests), sum(request.spans for request in requests))
        left = sum(row.request.spans for row in self.rows)
        assert self.spans_put == self.spans_dropped + self.spans_done + left

    def expire(self):
        """End claims, then drop what is too old: from the oldest on, up to one that is not, but for those claimed."""
        for row in self.rows:
            if row.claimed_at is not None and abs(row.claimed_at - self.now) > LEASE:
                row.claimed_at = None
        spans = 0
        for row in [row for row in self.rows if row.claimed_at is None]:
            if row.put_at >= self.now - MAX_AGE:
                break
            spans += self.drop(row)
        return spans

    def drop(self, row):
        self.rows.remove(row)
        self.spans_dropped += row.request.spans
        return row.request.spans


SpoolAndModel.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestSpoolAndModel = SpoolAndModel.TestCase
