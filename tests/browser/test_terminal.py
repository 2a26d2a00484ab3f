"""What people see in a terminal of a size, by tmux."""

import os
import re
import shlex
import subprocess
import sys
import time
import uuid

import pytest

from runspan.recording.otlp_json import otlp_line
from tests.otlp_receivers import HttpReceiver
from tests.recorded import recorded
from tests.viewer.test_commands import SPANS
from tests.waiting import wait_until

LIVE = """
import os, time, runspan
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from opentelemetry import trace

runspan.configure(console="live")
handler = runspan.OpenTelemetryCallbackHandler()
model = GenericFakeChatModel(messages=iter([AIMessage("one two three")]))
with trace.get_tracer("app").start_as_current_span("outer"):
    chunks = model.stream("go", config={"callbacks": [handler]})
    next(chunks), next(chunks)
    print("said by the application", flush=True)
    while not os.path.exists(os.environ["GO"]):  # what is typed would move the cursor
        time.sleep(0.01)
    list(chunks)
print("all is over", flush=True)
"""

COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|9[0-7])[;m]")


class Terminal:
    """A program in a terminal."""

    def __init__(self, command, columns, **environment):
        self.name = f"runspan-{uuid.uuid4().hex}"
        settings = [f"{name}={value}" for name, value in environment.items()]
        size = ["-x", str(columns), "-y", "40"]
        program = shlex.join(["env", *settings, *command])
        self._tmux("new-session", "-d", "-s", self.name, *size, f"{program}; sleep 100")

    def _tmux(self, *arguments):
        # Each has a server: one that is about to end with its last session refuses another.
        command = ["tmux", "-L", self.name, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    def screen(self, *options):
        """Return the lines that are there, without trailing blanks."""
        return [
            line.rstrip() for line in self._tmux("capture-pane", "-p", *options, "-t", self.name).rstrip().splitlines()
        ]

    def wait_for(self, text):
        """Return the screen as soon as a line has a text."""
        deadline = time.monotonic() + 60
        while not any(text in line for line in self.screen()):
            assert time.monotonic() < deadline, "\n".join(self.screen())
            time.sleep(0.05)
        return self.screen()

    def close(self):
        self._tmux("kill-server")


@pytest.fixture
def terminal():
    """Start programs in terminals; all are ended with the test."""
    opened = []

    def terminal(*arguments, **options):
        opened.append(Terminal(*arguments, **options))
        return opened[-1]

    yield terminal
    for each in opened:
        each.close()


@pytest.mark.parametrize("columns", [80, 160])
def test_view_fits_the_terminal(terminal, tmp_path, columns):
    """The tree fits 80 and 160 columns, with bars in line, in colour unless NO_COLOR is set."""
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b"".join(map(otlp_line, SPANS)))
    command = [sys.executable, "-m", "runspan.cli", "view", str(path)]
    coloured = terminal(command, columns, TERM="xterm-256color")
    lines = coloured.wait_for("no such table")
    assert len(lines) == 9
    rows = lines[4:8]
    starts = [re.search("[█▏▎▍▌▋▊▉]", row).start() for row in rows]
    assert starts[0] == starts[1] < starts[2] < starts[3]
    plain = terminal(command, columns, TERM="xterm-256color", NO_COLOR="1")
    assert plain.wait_for("no such table") == lines
    assert COLOUR.search("".join(coloured.screen("-e")))
    assert not COLOUR.search("".join(plain.screen("-e")))


@pytest.mark.parametrize("columns", [80, 160])
def test_live_shows_what_is_open(terminal, tmp_path, columns):
    """While a model streams its row counts chunks below what the application printed; its end takes the place."""
    program = terminal([sys.executable, "-c", LIVE], columns, GO=str(tmp_path / "go"))
    program.wait_for("said by the application")
    lines = program.wait_for("2 chunks")
    assert re.fullmatch(r"outer  … [\d.]+ m?s", next(line for line in lines if line.startswith("outer")))
    assert lines.index("said by the application") < next(at for at, line in enumerate(lines) if "chunks" in line)
    (tmp_path / "go").touch()
    program.wait_for("all is over")
    wait_until(lambda: not re.search("…|chunks", "".join(program.screen())))  # a thread takes it away
    tree = [re.sub(r"[\d.]+ m?s", "N", line) for line in program.screen() if line.startswith(("outer", "└─"))]
    assert tree == ["outer  N", "└─ chat  N  first chunk N"]


def test_live_has_no_colour_where_none_is_wanted(terminal, tmp_path):
    """With NO_COLOR what is open and what is complete stand there in the terminal's own colour."""
    program = terminal([sys.executable, "-c", LIVE], 80, GO=str(tmp_path / "go"), TERM="xterm-256color", NO_COLOR="1")
    program.wait_for("2 chunks")
    assert not COLOUR.search("".join(program.screen("-e")))
    (tmp_path / "go").touch()
    program.wait_for("all is over")
    assert not COLOUR.search("".join(program.screen("-e")))


class HoldsTheSecond(HttpReceiver):
    """A receiver that keeps the second request waiting."""

    def _take(self, request, headers):
        if self.attempts == 1:
            self.hold()
        return super()._take(request, headers)


@pytest.mark.parametrize("columns", [80, 160])
def test_replay_shows_how_far_it_is(terminal, tmp_path, columns):
    """While spans are sent there is a bar; at the end a line says how many were taken."""
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b"".join(otlp_line(recorded(each)) for each in range(1, 513)))  # two requests
    with HoldsTheSecond() as receiver:
        command = [sys.executable, "-m", "runspan.cli", "replay", str(path), "--endpoint", receiver.endpoint]
        program = terminal(command, columns, TERM="xterm-256color")
        (bar,) = (line for line in program.wait_for(" 50%") if "%" in line)
        assert f"to {receiver.endpoint}" in bar
        assert "━" in bar
        receiver.accept()
        lines = program.wait_for("were taken")
        assert len(receiver.received()) == 512
    said = " ".join(lines)
    assert said.startswith("512 of 512 spans were taken by")
    assert "%" not in said


def test_live_into_a_pipe_prints_trees_alone():
    """Where standard output is no terminal each trace is printed when it has ended, without control characters."""
    done = subprocess.run(
        [sys.executable, "-c", LIVE],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "GO": "/"},
    )
    assert "\x1b" not in done.stdout
    assert done.stdout.count("outer") == 1
    assert done.stderr == ""


def test_live_in_a_terminal_that_is_no_utf_8(terminal, tmp_path):
    """Where the terminal has no signs for it, each trace is printed when it has ended, and nothing fails."""
    (tmp_path / "go").touch()
    program = terminal([sys.executable, "-c", LIVE], 80, GO=str(tmp_path / "go"), PYTHONIOENCODING="ascii")
    lines = program.wait_for("all is over")
    assert any("outer" in line for line in lines)
    assert not any("failed" in line for line in lines)
