"""One spool and several processes: those that share it, that are killed, that are forked."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from textwrap import dedent

import pytest

from runspan.export.encoding.requests import Request
from tests.export.spools import bodies, folder
from tests.waiting import wait_until

PREAMBLE = """
import json, os, sys, threading, time, warnings
from runspan.export.encoding.requests import Request
from tests.export.spools import bodies, folder

path, name = sys.argv[1:]
spool = folder(path)

def emit(*what):
    print(json.dumps(what), flush=True)

def wait_for_the_others():
    emit("ready")
    sys.stdin.readline()

"""


class Program:
    """A process of its own that uses a spool and emits what it did."""

    def __init__(self, path, code, name=""):
        command = [sys.executable, "-c", PREAMBLE + dedent(code), str(path), name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def next_line(self):
        """Return the next thing that it emits."""
        return json.loads(self._process.stdout.readline())

    def go_on(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def emitted(self):
        """Wait for its end and return all that it emitted."""
        emitted = self._rest()
        assert self._process.returncode == 0
        return [json.loads(line) for line in emitted.splitlines()]

    def kill(self):
        """Kill it at once; return what it had emitted in whole lines."""
        self._process.kill()
        return [json.loads(line) for line in self._rest().splitlines(keepends=True) if line.endswith("\n")]

    def _rest(self):
        """Return what it printed since the last line that was read; ``communicate`` would leave out what was read ahead
        of that line."""
        if self._process.stdout.closed:
            return ""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with self._process.stdout as pipe:
            emitted = pipe.read()
        self._process.wait(60)
        return emitted


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.db"


def together(path, code, count=4):
    """Run the same code in several processes that begin at once; return what each emitted."""
    programs = [Program(path, code, str(number)) for number in range(count)]
    for program in programs:
        assert program.next_line() == ["ready"]
    for program in programs:
        program.go_on()
    return [program.emitted() for program in programs]


def test_processes_share_a_spool(path):
    """Four processes that put and take at once, from the first moment of the folder on, get each request once."""
    emitted = together(
        path,
        """
        wait_for_the_others()
        for number in range(40):
            assert spool.put([Request(f"{name} {number}".encode(), 1)]) == []
            for claim in spool.claims():
                if number % 3 == 0:
                    spool.free(claim)
                    break
                emit(claim.request.body.decode())
                spool.done(claim)
        """,
    )
    got = Counter(line[0] for program in emitted for line in program)
    got.update(body.decode() for body in bodies(folder(path)))
    assert got == {f"{name} {number}": 1 for name in range(4) for number in range(40)}


def test_what_is_put_before_a_kill_is_there(path):
    """A process killed at any moment leaves a spool that works, with all that was put before."""
    code = """
        for number in range(10_000):
            assert spool.put([Request(f"{name} {number}".encode() + bytes(50_000), 1)]) == []
            emit(f"{name} {number}")
        """
    acknowledged = []
    for name in range(6):
        with Program(path, code, str(name)) as program:
            acknowledged += [program.next_line()[0] for _ in range(1 + name * 3)]
            acknowledged += [line[0] for line in program.kill()]
    assert set(acknowledged) <= {body.decode().rstrip("\0") for body in bodies(folder(path))}


HOLD = """
    claim = next(spool.claims())
    emit(claim.request.body.decode())
    time.sleep(60)
    """


def test_a_claim_dies_with_its_process(path):
    """What a process had taken when it was killed is free at once; one that only stopped keeps it."""
    spool = folder(path)
    spool.put([Request(b"a prompt", 1)])
    with Program(path, HOLD) as holder:
        assert holder.next_line() == ["a prompt"]
        os.kill(holder.pid, signal.SIGSTOP)
        assert (bodies(spool), len(spool.entries())) == ([], 1)
        holder.kill()
        assert bodies(spool) == [b"a prompt"]


def test_a_claim_does_not_live_on_in_a_child(path):
    """A child that was forked while its parent sent a request doesn't keep the request when the parent is killed."""
    spool = folder(path)
    spool.put([Request(b"a prompt", 1)])
    code = """
        warnings.simplefilter("ignore", DeprecationWarning)
        claim = next(spool.claims())
        child = os.fork()
        if child == 0:
            os.close(1)  # which the test waits for
            time.sleep(60)
            os._exit(0)
        emit(child)
        time.sleep(60)
        """
    with Program(path, code) as holder:
        (child,) = holder.next_line()
        try:
            assert bodies(spool) == []
            holder.kill()
            wait_until(lambda: bodies(spool) == [b"a prompt"])
        finally:
            os.kill(child, signal.SIGKILL)


def test_two_hundred_requests_survive_kills(path):
    """Of 200 requests that two processes send, killed again and again, each is sent, and few of them twice."""
    folder(path).put([Request(str(number).encode(), 1) for number in range(200)])
    code = """
        for claim in spool.claims():
            emit(claim.request.body.decode())
            spool.done(claim)
        emit("all")
        time.sleep(60)
        """
    sent, kills = Counter(), 0
    while folder(path).entries():
        with Program(path, code) as one, Program(path, code) as other:
            emitted = [one.next_line()]
            while emitted[-1] != ["all"] and len(emitted) < 20:
                emitted.append(one.next_line())
            emitted += [line for program in (one, other) for line in program.kill()]
            kills += 2
        sent.update(line[0] for line in emitted if line != ["all"])
        assert kills < 100
    assert set(sent) == {str(number) for number in range(200)}
    assert sum(sent.values()) <= 200 + kills


def test_forked_children_use_the_spool(path):
    """Children forked while threads of their parent use the spool use it too; nothing hangs, nothing is lost."""
    with Program(
        path,
        """
        warnings.simplefilter("ignore", DeprecationWarning)  # of later Pythons: a fork with threads
        busy = True

        def use(thread):
            number = 0
            mine = folder(path)
            while busy:
                assert mine.put([Request(f"thread {thread} {number}".encode(), 1)]) == []
                number += 1
            totals.append(number)

        totals = []
        threads = [threading.Thread(target=use, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for child in range(8):
            if os.fork() == 0:
                assert spool.put([Request(f"child {child}".encode(), 1)]) == []
                assert spool.has_own()
                os._exit(0)
        codes = [os.waitstatus_to_exitcode(os.wait()[1]) for child in range(8)]
        busy = False
        for thread in threads:
            thread.join()
        emit(codes, sum(totals))
        """,
    ) as program:
        ((codes, total),) = program.emitted()
    assert codes == [0] * 8
    found = [body.decode() for body in bodies(folder(path))]
    assert len(found) == total + 8
    assert {f"child {number}" for number in range(8)} <= set(found)
