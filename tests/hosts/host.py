"""Programs that are ended by a signal, as containers and process managers end them."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.otlp_receivers import HttpReceiver, Receiver
from tests.waiting import wait_until

APPS = Path(__file__).parent / "apps"
START_SECONDS = END_SECONDS = 60


class Host:
    """A running program that sends to a receiver when it must, never because a batch is due.

    Args:
        command: Arguments of Python; ``PORT`` stands for a free port.
        receiver: One over HTTP unless it is given.
        environment: Variables beside ours.
        folder: Where the program runs, by default beside those in ``apps``.
    """

    def __init__(
        self, *command: str, folder: Path = APPS, receiver: Receiver | None = None, **environment: str
    ) -> None:
        self.port = free_port()
        self.receiver = receiver or HttpReceiver()
        self._command = [sys.executable, *(part.replace("PORT", str(self.port)) for part in command)]
        self._folder = folder
        self._environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
            "PORT": str(self.port),
            "PYTHONWARNINGS": "ignore",  # of forks, among what the program prints
            **environment,
        }

    def __enter__(self):
        self.receiver.__enter__()
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *error):
        with contextlib.suppress(ProcessLookupError):  # all have ended
            os.killpg(self.process.pid, signal.SIGKILL)
        print(self.process.communicate()[0])  # pytest shows it where a test fails
        self.receiver.__exit__(*error)

    def read_line(self):
        """Wait for the program to print a line."""
        return self.process.stdout.readline().rstrip()

    def wait_for_port(self):
        """Wait until the server takes requests."""

        def listens():
            assert self.process.poll() is None, "the server has ended"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True

        wait_until(listens, START_SECONDS)

    def get(self, path="/"):
        """Make a request of its own connection; return the answer when it has begun."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        assert (answer.status, answer.read(5)) == (200, b"begun")
        return answer

    def terminate(self):
        """Send SIGTERM to the program alone, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)

    def names(self):
        """Return the names of the spans that arrived."""
        return sorted(span["name"] for span in self.receiver.received())


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return bound.getsockname()[1]
