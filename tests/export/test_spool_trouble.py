"""A folder that is damaged, full, another's or can't be used: the spool says so, and nothing else stops."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runspan import Spool
from runspan.export.encoding.requests import Request
from tests.export.memory import Memory, end_spans
from tests.export.spools import Losses, bodies, folder

REQUEST = Request(b"a prompt", spans=2)


def reason_of(path):
    """Return why a request can't be put; it is left."""
    losses = Losses()
    assert folder(path, losses).put([REQUEST]) == [REQUEST]
    (reason,) = losses.reasons
    return reason


def test_a_damaged_file_costs_one_request(tmp_path):
    """One flipped byte loses the spans of its request, which are counted; the other ninety-nine are sent."""
    path, losses = tmp_path / "spool", Losses()
    folder(path).put([Request(b"a" * 500 + str(number).encode(), 3) for number in range(100)])
    damaged = sorted(path.iterdir())[7]
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    spool = folder(path, losses)
    assert sorted(bodies(spool)) == sorted(b"a" * 500 + str(number).encode() for number in range(100) if number != 7)
    assert (losses.lost, damaged.exists()) == ({"spool_damaged": 3}, False)


@settings(max_examples=30)
@given(content=st.binary(max_size=100), at=st.integers(0, 99))
def test_any_damage_costs_one_request(content, at):
    """Whatever stands in a file, nothing is raised, nothing that was changed is sent, and the others are."""
    with tempfile.TemporaryDirectory() as parent:
        losses = Losses()
        spool = folder(Path(parent) / "spool", losses)
        spool.put([Request(b"x" * 90, 1), Request(b"whole", 1)])
        first = min((Path(parent) / "spool").iterdir())
        whole = first.read_bytes()
        first.write_bytes(changed := whole[:at] + content)
        assert bodies(spool) == ([b"x" * 90] if changed == whole else []) + [b"whole"]
        assert losses.lost == ({"spool_damaged": 1} if changed not in (whole, b"") else {})


def make_sqlite(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE request (id)")
    connection.close()


OLD = (
    "is a file, perhaps a spool of an earlier version; now it is a folder. Name another path, the file stays as it is."
)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_sqlite, OLD),
        (lambda path: path.write_text("notes"), OLD),
        (
            lambda path: (path.mkdir(mode=0o700), (path / "notes").write_text("mine")),
            "holds 'notes', which is no spool's",
        ),
        (lambda path: (path.mkdir(), path.chmod(0o777)), "or 'chmod 700' this one."),
        (lambda path: (path.parent / "real").mkdir() or path.symlink_to(path.parent / "real"), "is a symbolic link."),
    ],
    ids=["SQLite", "text", "a folder of notes", "open", "link"],
)
def test_what_is_no_spool_is_refused_untouched(tmp_path, make, reason):
    """It stays as it was, and the reason names what helps."""
    path = tmp_path / "spool"
    make(path)
    before = {file: file.is_file() and file.read_bytes() for file in tmp_path.rglob("*")}
    assert reason in reason_of(path)
    assert {file: file.is_file() and file.read_bytes() for file in tmp_path.rglob("*")} == before


def test_a_folder_that_others_may_replace_is_refused(tmp_path):
    """Who may write to the folder around it could put another in its place; where that is sticky, as /tmp is, not."""
    around = tmp_path / "around"
    around.mkdir()
    around.chmod(0o777)
    assert reason_of(around / "spool") == f"others may replace what is in {around}. 'chmod +t' it, or go elsewhere."
    around.chmod(0o1777)
    assert folder(around / "spool").put([REQUEST]) == []


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    """Who was there first reads nothing of ours."""
    (tmp_path / "spool").mkdir()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert f"belongs to user {owner}. Name a folder of user 12345." in reason_of(tmp_path / "spool")


def test_a_path_that_can_not_be(tmp_path):
    """What stands in the way is named with what helps; once it is gone the spool works."""
    (tmp_path / "file").touch()
    for path, cause in [
        (tmp_path / "file" / "spool", "Not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("/proc/no/spool"), "No such file or directory"),
    ]:
        reason = reason_of(path)
        assert reason.startswith(f"{path} can't be used ({cause})")
        assert reason.endswith(f"name a folder that user {os.geteuid()} can write.")
        assert folder(path).entries() in (None, [])
        assert bodies(folder(path)) == []
    (tmp_path / "file").unlink()
    assert folder(tmp_path / "file" / "spool").put([REQUEST]) == []


@pytest.mark.parametrize("durability", ["on-failure", "write-ahead"])
@pytest.mark.parametrize("name", ["file/spool", "x" * 300])
def test_a_folder_that_cannot_be_used_stops_nothing(delivery, tmp_path, name, durability, caplog):
    """The receiver works, so all spans arrive, as without a spool."""

    (tmp_path / "file").touch()
    client = Memory()
    processor, tracer = delivery(client, spool=Spool(tmp_path / name, durability=durability))
    end_spans(tracer, "a", "b")
    assert processor.force_flush(10_000) is True
    assert (client.names, processor.stats().dropped) == (["a", "b"], {})
    if durability == "write-ahead":
        assert "the spool can't be used" in caplog.text


def run(code, *arguments):
    """Run lines of code in a process of its own, return what it prints."""
    preamble = """
import os, resource, sys
from runspan.export.encoding.requests import Request
from tests.export.spools import Losses, bodies, folder

"""
    command = [sys.executable, "-c", preamble + dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_full_disk(tmp_path):
    """Where there is no room nothing is raised and what was there stays; the next put after there is room works."""
    (reason,) = run(
        """
        losses = Losses()
        spool = folder(sys.argv[1], losses)
        small, large = Request(b"small", 1), Request(bytes(1_000_000), 1)
        assert spool.put([small]) == []
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        assert spool.put([large]) == [large]
        print(*losses.reasons)
        assert len(os.listdir(sys.argv[1])) == 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert spool.put([large]) == []
        assert bodies(spool) == [small.body, large.body]
        """,
        tmp_path / "spool",
    )
    assert "(File too large). Is there room?" in reason


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_what_may_not_be_written(mode):
    """A folder that is read-only, or may not be entered, is left as it is, with a reason."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        path = Path(parent) / "inner" / "spool"
        if os.geteuid() == 0:
            path.mkdir(parents=True)
            os.chown(path, 65534, 65534)
        folder(path).put([REQUEST])
        path.chmod(mode)
        (reason,) = run(
            """
            if os.geteuid() == 0:
                os.seteuid(65534)
            losses = Losses()
            assert len(folder(sys.argv[1], losses).put([Request(b"", 1)])) == 1
            print(*losses.reasons)
            os.seteuid(os.getuid())
            """,
            path,
        )
        path.chmod(0o700)
        assert reason.startswith(f"{path} can't be used (Permission denied)")
