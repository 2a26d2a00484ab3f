"""Programs that tests start, stop and kill."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from e2e.backends import folder

ROOT = Path(__file__).parents[2]
BACKENDS = folder()
# No proxy that the machine may have.
_LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Program:
    """A program, its output in a log; whenever it is started it has the same ports, files and log.

    Leaving the ``with`` block ends it, and the processes that it started.
    """

    def __init__(self, command, *, log, ready_seconds=60, **environment):
        self.log = log
        self._ready_seconds = ready_seconds
        self._command = [str(word) for word in command]
        self._environment = {name: str(value) for name, value in environment.items()}
        self._process = None

    def start(self):
        """Start it, and wait until it is ready."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=os.environ | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        wait_until(self._is_ready, self._ready_seconds, lambda: f"{self} does not get ready:\n{self.last_words()}")
        return self

    def stop(self, timeout=60):
        """End it as a service manager does, and return its exit code."""
        self._process.terminate()
        return self.wait(timeout)

    def kill(self):
        """End it as the lack of memory does."""
        self._process.kill()
        self._process.wait()

    def wait(self, timeout=60):
        """Wait until it ends by itself, and return its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} does not end:\n{self.last_words()}") from None

    @property
    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def resident_bytes(self):
        """Return how much memory it has."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def last_words(self, lines=40):
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _is_ready(self):
        return True

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.is_running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __repr__(self):
        return f"{self.log.stem} ({Path(self._command[0]).name})"


class Server(Program):
    """A program that reports over HTTP when it is ready."""

    def __init__(self, command, *, log, health, **more):
        super().__init__(command, log=log, **more)
        self._health = health

    def _is_ready(self):
        assert self.is_running, f"{self} ended instead of starting:\n{self.last_words()}"
        return get(self._health) is not None


def get(url):
    """Return the body of an answer, or None if there is none yet: not listening, not ready, not found."""
    try:
        with _LOOPBACK.open(url, timeout=30) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        with error:  # it is an answer, too
            if error.code not in {404, 503}:
                raise AssertionError(f"{url} answers {error.code}: {error.read()[:500]!r}") from None
    except (urllib.error.URLError, ConnectionError):
        pass
    return None


def free_addresses(count):
    """Return addresses on loopback where nothing listens."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in listening]
    for each in listening:
        each.close()
    return addresses


def wait_until(condition, seconds, explain):
    """Wait until the condition gives something true, and return that; else fail with the explanation."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)
    return result
