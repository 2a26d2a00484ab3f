"""One spool and several processes: those that share it, that are killed, that are forked."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from textwrap import dedent

import pytest

from runspan.export.request import Request
from runspan.export.spool.files import Spool, SpoolFile, Taken, Waiting
from runspan.export.spool.owner import this_process

MEBIBYTE = 1024**2
PREAMBLE = """
import json, os, sys, threading, time, warnings
from runspan.export.request import Request
from runspan.export.spool.files import Put, Spool, SpoolFile

path, name = sys.argv[1:]
spool = SpoolFile(Spool(path), "")

def tell(*what):
    print(json.dumps(what), flush=True)

def wait_for_the_others():
    tell("ready")
    sys.stdin.readline()

"""


class Program:
    """A process of its own that uses a spool and tells what it did."""

    def __init__(self, path, code, name=""):
        command = [sys.executable, "-c", PREAMBLE + dedent(code), str(path), name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def heard(self):
        """Return the next thing it tells."""
        return json.loads(self._process.stdout.readline())

    def go_on(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def told(self):
        """Wait for its end and return all that it told."""
        said, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return [json.loads(line) for line in said.splitlines()]

    def kill(self):
        """Kill it at once; return what it had told in whole lines."""
        self._process.kill()
        said, _ = self._process.communicate(timeout=60)
        return [json.loads(line) for line in said.splitlines(keepends=True) if line.endswith("\n")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.db"


def together(path, code, count=4):
    """Run the same code in several processes that begin at once; return what each told."""
    programs = [Program(path, code, str(number)) for number in range(count)]
    for program in programs:
        assert program.heard() == ["ready"]
    for program in programs:
        program.go_on()
    return [program.told() for program in programs]


def bodies(taken):
    return [stored.request.body.decode() for stored in taken.stored]


def test_processes_share_a_spool(path):
    """Four processes that put and take at once, from the first moment of the file on, get each request exactly once."""
    told = together(
        path,
        """
        wait_for_the_others()
        for number in range(40):
            put = spool.put([Request(f"{name} {number}".encode(), 1)])
            assert put == Put(), put
            taken = spool.take(12_000)
            assert not (taken.reason or taken.set_aside), taken
            for stored in taken.stored:
                tell(stored.request.body.decode())
            back = taken.stored[:1] if number % 3 == 0 else ()
            spool.give_back([stored.id for stored in back])
            tell("back", *[stored.request.body.decode() for stored in back])
            spool.done([stored.id for stored in taken.stored[len(back):]])
        """,
    )
    spool = SpoolFile(Spool(path), "")
    got = Counter(bodies(spool.take(100 * MEBIBYTE)))
    for program in told:
        for line in program:
            got.update({line[0]: 1} if line[0] != "back" else dict.fromkeys(line[1:], -1))
    assert got == {f"{name} {number}": 1 for name in range(4) for number in range(40)}


def test_what_is_put_before_a_kill_is_there(path):
    """A process killed at any moment leaves a spool that works, with all that was put before."""
    code = """
        for number in range(10_000):
            assert spool.put([Request(f"{name} {number}".encode() + bytes(50_000), 1)]) == Put()
            tell(f"{name} {number}")
        """
    acknowledged = []
    for name in range(6):
        with Program(path, code, str(name)) as program:
            acknowledged += [program.heard()[0] for _ in range(1 + name * 3)]
            acknowledged += [line[0] for line in program.kill()]
    taken = SpoolFile(Spool(path), "").take(1024 * MEBIBYTE)
    assert (taken.reason, taken.set_aside) == ("", "")
    assert set(acknowledged) <= {body.rstrip("\0") for body in bodies(taken)}


def test_a_claim_dies_with_its_process(path):
    """What a process had taken when it was killed is free at once; what one has that only stopped, after the lease."""
    now = 1_000_000.0
    spool = SpoolFile(Spool(path, max_age=10_000), "", clock=lambda: now)
    spool.put([Request(b"a prompt", 1)])
    hold = f"""
        spool = SpoolFile(Spool(path, max_age=10_000), "", clock=lambda: {now})
        tell(len(spool.take(1).stored))
        time.sleep(60)
        """
    with Program(path, hold) as holder:
        assert holder.heard() == [1]
        os.kill(holder.pid, signal.SIGSTOP)
        now += 59
        assert spool.take(1) == Taken()
        now += 2
        late = spool.take(1)
        assert bodies(late) == ["a prompt"]
        spool.give_back([stored.id for stored in late.stored])
        os.kill(holder.pid, signal.SIGCONT)
    with Program(path, hold.replace(str(now - 61), str(now))) as holder:
        assert holder.heard() == [1]
        assert spool.take(1) == Taken()
        holder.kill()
        assert bodies(spool.take(1)) == ["a prompt"]


def test_a_process_id_that_is_used_again(path):
    """A claim of an earlier process that had our id holds no more; of a process in another place it does."""
    spool = SpoolFile(Spool(path), "")
    spool.put([Request(b"a prompt", 1)])
    spool.take(1)
    this_process.start_afresh()
    assert bodies(spool.take(1)) == ["a prompt"]
    connection = sqlite3.connect(path)
    connection.execute("UPDATE claim SET claimed_by = 'another container|1|a'")
    connection.commit()
    connection.close()
    assert spool.take(1) == Taken()
    assert (spool.waiting(own=True), spool.waiting()) == (Waiting(), Waiting(1, 1))


def test_a_damaged_file_that_several_find(path, tmp_path):
    """It is set aside once, and the one that did it says so; nothing that they put is lost."""
    path.write_bytes(b"garbage" * 1000)
    told = together(
        path,
        """
        wait_for_the_others()
        put = spool.put([Request(name.encode(), 1)])
        tell([len(put.left), put.reason, bool(put.set_aside)])
        """,
    )
    assert sorted(said for ((said,),) in told) == [[0, "", False]] * 3 + [[0, "", True]]
    assert sorted(bodies(SpoolFile(Spool(path), "").take(MEBIBYTE))) == ["0", "1", "2", "3"]
    aside, _ = sorted(tmp_path.iterdir(), key=lambda file: len(file.name), reverse=True)
    assert aside.read_bytes() == b"garbage" * 1000


def test_forked_children_use_the_spool(path):
    """Children forked while threads of their parent use the spool use it too; nothing hangs, nothing is lost."""
    with Program(
        path,
        """
        warnings.simplefilter("ignore", DeprecationWarning)  # of later Pythons: a fork with threads
        busy = True

        def use(thread):
            number = 0
            while busy:
                assert spool.put([Request(f"thread {thread} {number}".encode(), 1)]) == Put()
                number += 1
            totals.append(number)

        totals = []
        threads = [threading.Thread(target=use, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for child in range(8):
            if os.fork() == 0:
                assert spool.put([Request(f"child {child}".encode(), 1)]) == Put()
                assert spool.waiting(own=True).requests == 1
                os._exit(0)
        codes = [os.waitstatus_to_exitcode(os.wait()[1]) for child in range(8)]
        busy = False
        for thread in threads:
            thread.join()
        tell(codes, sum(totals))
        """,
    ) as program:
        ((codes, total),) = program.told()
    assert codes == [0] * 8
    spool = SpoolFile(Spool(path), "")
    assert spool.waiting() == Waiting(total + 8, total + 8)
    assert {f"child {number}" for number in range(8)} <= set(bodies(spool.take(100 * MEBIBYTE)))


def test_a_child_forked_in_the_middle_of_a_write_does_without(path):
    """Where the parent writes for longer than a fork may wait the child leaves the spool alone and says why."""
    with Program(
        path,
        """
        warnings.simplefilter("ignore", DeprecationWarning)
        from pathlib import Path
        from runspan.export.spool.database import Database

        inside, leave = threading.Event(), threading.Event()

        def write(connection):
            inside.set()
            leave.wait(30)

        spool.put([])
        writer = threading.Thread(target=Database(Path(path)).run, args=(write,))
        writer.start()
        inside.wait(30)
        if os.fork() == 0:
            tell(spool.put([Request(b"", 1)]).reason)
            os._exit(0)
        os.wait()
        leave.set()
        writer.join()
        tell(spool.put([Request(b"", 1)]).reason)
        """,
    ) as program:
        assert program.told() == [
            ["this process was forked while its parent wrote to the spool. Fork earlier."],
            [""],
        ]
