"""The commands, as a person or a script calls them."""

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

import runspan
from runspan import Spool
from runspan.cli.commands import app
from runspan.recording.otlp_json import otlp_line
from runspan.viewer.store import TraceStore
from tests.otlp_receivers import HttpReceiver
from tests.programs import run_python
from tests.recorded import TRACE_ID, model_call, recorded, text
from tests.test_recording import JSON, PROTO

USED = {
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 34,
    "gen_ai.response.time_to_first_chunk": 0.25,
}
SPANS = [
    recorded(1, name="invoke_agent helper", end=1000, attributes={"gen_ai.operation.name": "invoke_agent"}),
    recorded(
        2, 1, "chat m-1", end=400, attributes=model_call([text("user", "one?")], [text("assistant", "two")], **USED)
    ),
    recorded(3, 1, "lookup", start=400, end=500, error="no such table", attributes={"error.type": "DatabaseError"}),
    recorded(4, 1, "wait", start=500, end=1000, attributes={"langchain.run.outcome": "cancelled"}),
]


@pytest.fixture
def file(tmp_path):
    """A file of four spans."""
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b"".join(map(otlp_line, SPANS)))
    return path


def run(*arguments, columns=100, **environment):
    """Run a command in this process; return its exit code and what it printed."""
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": str(columns), **environment})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def in_process(*arguments, columns=100, **environment):
    """Run a command in a process of its own, with its output in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "runspan.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8", **environment},
    )


def test_view_prints_a_tree(file):
    """The tree has kinds, tokens, times, bars, and errors and outcomes by sign and word, not by colour alone."""
    done = in_process("view", file, columns=80)
    lines = [re.sub(r"\s+", " ", line).strip() for line in done.stdout.strip().splitlines()]
    assert lines == [
        f"trace {TRACE_ID:032x} 2026-11-23 00:26:24 1.00 s",
        "? one?",
        "= two",
        "m-1 1,200 → 34 tokens ✕ 1 error",
        "agent helper 1.00 s ████████████████",
        "├─ model m-1 first chunk 250 ms 1,200 → 34 400 ms ██████▍",
        "├─ other lookup ✕ error 100 ms ██",
        "└─ other wait ⊘ cancelled 500 ms ████████",
        "✕ lookup: DatabaseError: no such table",
    ]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_no_line_is_wider_than_the_terminal(columns, tmp_path):
    """At any width, and with names of any length and script, each line fits."""
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b"".join(otlp_line(recorded(each, each - 1 or None, "名前" * 60)) for each in range(1, 40)))
    done = in_process("view", path, columns=columns)
    assert done.stdout
    assert [line for line in done.stdout.splitlines() if cell_len(line) > columns] == []


def test_hostile_names_move_no_cursor(tmp_path):
    """What was recorded neither colours the screen nor breaks a line."""
    path = tmp_path / "spans.jsonl"
    evil = "\x1b[2J\x1b]0;title\x07\nfake line\r[red]x[/red]\u202e"
    call = model_call([text("user", evil)], [text("assistant", evil)], **{"error.type": evil, "session.id": evil})
    path.write_bytes(otlp_line(recorded(1, name=evil, error=evil, attributes=call)))
    done = in_process("view", path)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", done.stdout)
    assert "[red]x[/red]" in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith("fake line")]


def test_an_answer_is_a_line_without_marks(tmp_path):
    """Of an answer in Markdown its words are printed, on one line."""
    path = tmp_path / "spans.jsonl"
    answer = "## A *clear* day\n\n| when | where |\n| --- | --- |\n| 9:00 | `Alfama` |\n\n> **Tip:** a-b, 2 > 1"
    call = model_call([text("user", "?")], [text("assistant", answer)])
    path.write_bytes(otlp_line(recorded(1, name="chat", attributes=call)))
    assert "= A clear day when where 9:00 Alfama > Tip: a-b, 2 > 1\n" in in_process("view", path).stdout


def test_view_writes_a_page(file, tmp_path):
    """With --html there is a page in place of the tree, for its user alone; - is standard output."""
    code, said = run("view", file, "--html", tmp_path / "page.html")
    assert (code, "The page is" in said) == (0, True)
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert (tmp_path / "page.html").stat().st_mode & 0o077 == 0
    assert in_process("view", file, "--html", "-").stdout == page


def test_view_chooses_traces(tmp_path):
    """The latest so many traces are shown, the latest last, or the one whose id begins so; a page has them, too."""
    path = tmp_path / "spans.jsonl"
    of_traces = [recorded(1, name=f"name-{each}", trace_id=each << 120, start=each) for each in (0xA1, 0xB2, 0xC3)]
    path.write_bytes(b"".join(map(otlp_line, of_traces)))
    assert re.findall(r"name-\d+", run("view", path, "--last", 2)[1]) == [f"name-{0xB2}", f"name-{0xC3}"]
    assert re.findall(r"name-\d+", run("view", path, "--trace", "B2")[1]) == [f"name-{0xB2}"]
    pages = run("view", path, "--html", "-", "--last", 2)[1], run("view", path, "--html", "-")[1]
    assert [set(re.findall(r'"name-\d+"', page)) for page in pages] == [
        {f'"name-{0xB2}"', f'"name-{0xC3}"'},
        {f'"name-{0xA1}"', f'"name-{0xB2}"', f'"name-{0xC3}"'},
    ]
    assert run("view", path, "--trace", "dd") == (1, f"{path} has no trace whose id begins with dd.\n")


@pytest.mark.parametrize("recording", [JSON, PROTO], ids=["JSON", "protobuf"])
def test_view_reads_what_the_collector_wrote(recording, tmp_path):
    """A file of the Collector's file exporter is shown, in either of its formats."""
    (tmp_path / "spans").write_bytes(recording)
    code, output = run("view", tmp_path / "spans")
    assert code == 0
    assert re.findall(r"other (\w+)", output) == ["chain", "chat"]
    assert "✕ chat: refused" in output


def test_view_reads_a_spool(tmp_path):
    """The folder of a spool is shown, and nothing is taken out of it."""
    run_python(
        f"configure(endpoint='http://127.0.0.1:9', spool={str(tmp_path / 'spool')!r}, exit_timeout=0.5)\nend('waits')",
        as_json=False,
    )
    before = sorted(each.name for each in (tmp_path / "spool").iterdir())
    assert "waits" in run("view", tmp_path / "spool")[1]
    assert sorted(each.name for each in (tmp_path / "spool").iterdir()) == before
    assert Spool(tmp_path / "spool").durability == "on-failure"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.write_text("hello"), "is no recording of spans"),
        (lambda path: path.write_text("{}\n"), "has no spans"),
        (lambda path: path.write_text('{"resourceSpans": [{"scopeSpans": 5}]}\n{}\n'), "broken at line 1"),
        (lambda path: path.mkdir(), "is a folder without spans"),
    ],
    ids=["missing", "no recording", "no spans", "broken", "empty folder"],
)
def test_what_can_not_be_viewed_is_explained(make, said, tmp_path):
    """One line says what is wrong with which file; there is no traceback."""
    make(tmp_path / "spans")
    code, output = run("view", tmp_path / "spans")
    assert code == 1
    assert said in output
    assert len(output.splitlines()) == 1


def test_the_demo_runs_without_a_key(tmp_path):
    """All scenes run without a connection or a look-up, print trees, and leave a file of spans and a page."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "asks = ('socket.connect', 'socket.getaddrinfo', 'socket.sendto')\n"
        "sys.addaudithook(lambda event, what: event in asks and print(event, what[1:], file=sys.stderr))\n"
    )
    done = in_process("demo", "--folder", tmp_path, HOME=str(tmp_path), PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    order = (
        "agent: ",
        "invoke_agent trip_planner",
        "stream: ",
        "first chunk",
        "graph: ",
        "[interrupted]",
        "The page is",
    )
    firsts = [done.stdout.find(each) for each in order]
    assert -1 not in firsts
    assert firsts == sorted(firsts)
    assert (tmp_path / "trace.html").stat().st_size > 100_000
    code, output = run("view", tmp_path / "trace.jsonl")
    assert (code, output.count("trace ")) == (0, 5)
    assert "↻ attempt 2" in output


def test_the_demo_runs_without_docstrings(tmp_path):
    """With PYTHONOPTIMIZE=2, which drops the docstrings that LangChain asks of tools, the agent is traced."""
    done = in_process("demo", "agent", "--folder", tmp_path, PYTHONOPTIMIZE="2")
    assert (done.returncode, done.stderr, "None" in done.stdout) == (0, "", False)
    assert "execute_tool search_guide" in done.stdout


def test_a_scene_can_be_chosen(tmp_path):
    """Only the scene that is named runs."""
    assert in_process("demo", "stream", "--folder", tmp_path).returncode == 0
    listed = in_process("view", tmp_path / "trace.jsonl").stdout
    assert (listed.count("trace "), "? Why is the sky blue?" in listed) == (1, True)


@pytest.mark.parametrize("command", ["demo", "view"])
def test_the_page_is_opened_if_that_is_asked(command, file, tmp_path):
    """With --open the user's browser gets the page; without it none is started."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {shlex.quote(str(tmp_path / "shown"))}\n')
    browser.chmod(0o700)
    arguments = ["demo", "stream", "--folder", tmp_path] if command == "demo" else ["view", file]
    in_process(*arguments, BROWSER=str(browser))
    assert not (tmp_path / "shown").exists()
    in_process(*arguments, "--open", BROWSER=str(browser))
    page = tmp_path / ("trace.html" if command == "demo" else "spans.jsonl.html")
    assert (tmp_path / "shown").read_text() == page.as_uri()
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RUNSPAN_DETAIL", "most", "Settings: RUNSPAN_DETAIL = 'most' is not allowed."),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "OTEL_EXPORTER_OTLP_TIMEOUT is 'soon'; it must be a number of seconds"),
        ("OTEL_SDK_DISABLED", "true", "No span was recorded: a variable of OpenTelemetry switches them off."),
        ("OTEL_TRACES_SAMPLER", "always_off", "No span was recorded: a variable of OpenTelemetry switches them off."),
    ],
)
def test_a_demo_that_can_not_be_recorded_says_why(variable, value, said, tmp_path):
    """Where the environment is mistaken, or switches spans off, there is one line, and no page without spans."""
    done = in_process("demo", "stream", "--folder", tmp_path, **{variable: value})
    assert (done.returncode, done.stderr.startswith(said), done.stderr.count("\n")) == (1, True, 1)
    assert not (tmp_path / "trace.html").exists()


def test_a_scene_that_is_none_is_named():
    """The error lists the scenes."""
    assert run("demo", "opera")[1] == "There is no scene 'opera'; there are agent, stream, graph and all.\n"


def test_replay_sends_to_an_endpoint(file):
    """All spans of a file arrive at an endpoint."""
    with HttpReceiver() as receiver:
        code, output = run("replay", file, "--endpoint", receiver.endpoint)
        assert (code, output.strip().startswith("4 of 4 spans were taken by")) == (0, True)
        assert [span["name"] for span in receiver.received()] == [span.name for span in SPANS]


def test_replay_sends_what_waits_in_a_spool(tmp_path):
    """What waits in a spool arrives at another endpoint, and stays in the spool."""
    run_python(
        f"configure(endpoint='http://127.0.0.1:9', spool={str(tmp_path)!r}, exit_timeout=0.5)\nend('waits')",
        as_json=False,
    )
    before = sorted(each.name for each in tmp_path.iterdir())
    with HttpReceiver() as receiver:
        assert run("replay", tmp_path, "--endpoint", receiver.endpoint)[0] == 0
        assert [span["name"] for span in receiver.received()] == ["waits"]
    assert sorted(each.name for each in tmp_path.iterdir()) == before


def test_replay_says_why_spans_are_refused(file):
    """A refusal is an error that names the endpoint, what it answered, and who knows what to do."""
    with HttpReceiver() as receiver:
        receiver.refuse(401)
        code, output = run("replay", file, "--endpoint", receiver.endpoint)
    assert code == 1
    assert "401" in output
    assert "runspan doctor" in output


def test_replay_drives_a_handler(file, tmp_path, monkeypatch):
    """A handler that is named by its module hears of the runs; one that is not there is named."""
    (tmp_path / "my_handlers.py").write_text(
        "from langchain_core.callbacks import BaseCallbackHandler\n"
        "class Loud(BaseCallbackHandler):\n"
        "    def on_chat_model_start(self, serialized, messages, **_): print('asked', messages[0][0].content)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert run("replay", file, "--handler", "my_handlers:Loud")[1].splitlines() == ["asked one?", "4 spans replayed."]
    assert "can't be imported" in run("replay", file, "--handler", "my_handlers:Quiet")[1]
    assert "Give one of" in run("replay", file)[1]


def test_traces_are_listed_for_scripts(tmp_path):
    """The store is listed with filters, one JSON object a line; a trace is shown whole by the beginning of its id."""
    path = tmp_path / "traces.sqlite3"
    store = TraceStore(path)
    fast = recorded(1, name="fast", trace_id=5, start=2000, end=2001, attributes={"session.id": "s-1"})
    store.add([*SPANS, fast])
    store.close()
    listed = [json.loads(line) for line in run("traces", "--json", "--store", path)[1].splitlines()]
    assert [each["name"] for each in listed] == ["fast", "invoke_agent helper"]
    for option in (["--errors"], ["--slow", "0.5"], ["--search", "no such TABLE"]):
        (found,) = run("traces", "--json", *option, "--store", path)[1].splitlines()
        assert json.loads(found)["name"] == "invoke_agent helper"
    for option in (["--session", "s-1"], ["--limit", 1]):
        (found,) = run("traces", "--json", *option, "--store", path)[1].splitlines()
        assert json.loads(found)["name"] == "fast"
    whole = json.loads(run("traces", f"{TRACE_ID:032x}"[:6], "--json", "--store", path)[1])
    assert [span["name"] for span in whole["spans"]] == [span.name for span in SPANS]
    assert "✕ lookup: DatabaseError" in run("traces", f"{TRACE_ID:032x}", "--store", path)[1]
    assert "? one?" in run("traces", "--store", path)[1]
    assert run("traces", "--errors", "--search", "fast", "--json", "--store", path) == (0, "")
    assert run("traces", "--search", "nobody", "--store", path) == (1, "No trace is like that.\n")
    assert run("traces", "--store", tmp_path / "none")[0] == 1
    assert run("traces", "--store", tmp_path) == (1, f"{tmp_path}: Is a directory.\n")
    TraceStore(tmp_path / "empty").close()
    assert "has no traces yet. Start runspan ui" in run("traces", "--store", tmp_path / "empty")[1]


def test_a_store_that_fails_is_named(tmp_path):
    """A store that can be opened and not read, as one that was damaged, is an error of one line with a remedy."""
    with closing(TraceStore(tmp_path / "store")) as store:
        store.add(SPANS)
    with closing(sqlite3.connect(tmp_path / "store")) as other:
        other.execute("DROP TABLE spans")
        other.execute("CREATE VIEW spans AS SELECT 1")
    code, said = run("traces", "--store", tmp_path / "store", columns=400)
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("The store of traces failed: ")
    assert said.endswith("Then name another with --store.\n")


@pytest.mark.parametrize(("option", "value"), [("--port", "65536"), ("--port", "-1"), ("--grpc-port", "65536")])
def test_a_port_that_is_none_is_named(option, value, tmp_path):
    """A number that no port has is refused by its option, as wrong arguments are."""
    code, said = run("ui", "--store", tmp_path / "x", option, value)
    assert (code, option in said) == (2, True)


def test_an_address_that_is_empty_is_none(tmp_path):
    """An unset variable of a script does not make the server listen on all addresses."""
    code, said = run("ui", "--store", tmp_path / "x", "--host", "", "--port", 0)
    assert (code, said) == (1, "--host is empty; give an address, such as 127.0.0.1.\n")


@pytest.mark.parametrize(
    ("missing", "command", "said"),
    [
        ("typer", "view", "The command runspan needs typer. Install it: pip install 'runspan[cli]'"),
        ("rich", "view", "The command runspan needs rich. Install it: pip install 'runspan[cli]'"),
        ("langgraph", "demo", "The demo needs langgraph. Install it: pip install 'runspan[cli]'"),
        ("starlette", "ui", "runspan ui needs starlette. Install it: pip install 'runspan[ui]'"),
        ("uvicorn", "ui", "runspan ui needs uvicorn. Install it: pip install 'runspan[ui]'"),
    ],
)
def test_without_the_extra_the_command_says_what_to_install(missing, command, said, tmp_path):
    """Where a package of an extra is missing there is one line, and no traceback."""
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('no', name={missing!r})")
    done = in_process(command, *(["x"] if command == "view" else []), PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, f"{said}\n")


def test_names_of_files_are_printed_as_they_are(file, tmp_path):
    """A folder whose name looks like markup, such as a route of a web framework, is named as it is."""
    folder = tmp_path / "[slug]" / "[" / "z]:smile:"
    folder.mkdir(parents=True)
    code, output = run("view", file, "--html", folder / "page.html", columns=400)
    assert (code, output) == (0, f"The page is {folder / 'page.html'}\n")
    code, output = run("view", folder / "none.jsonl", columns=400)
    assert (code, output) == (1, f"{folder / 'none.jsonl'}: No such file or directory.\n")
    shown = in_process("demo", "stream", "--folder", folder, columns=400).stdout
    assert f"runspan view {shlex.quote(str(folder / 'trace.jsonl'))}\n" in shown
    path = tmp_path / "[/red]"
    assert run("traces", "--store", path)[1].startswith(f"There are no traces: {path} does not exist")


def test_output_that_is_no_utf_8(file, tmp_path):
    """Into a pipe of another encoding texts go with question marks for what it lacks; JSON and pages are UTF-8."""
    others = {"PYTHONIOENCODING": "cp1252"}
    page = tmp_path / "page.html"
    run("view", file, "--html", page)
    store = TraceStore(tmp_path / "traces.sqlite3")
    store.add([recorded(1, name="smile 😀")])
    store.close()
    shown, written = in_process("view", file, **others), in_process("view", file, "--html", "-", **others)
    listed = in_process("traces", "--store", tmp_path / "traces.sqlite3", "--json", **others)
    assert (
        (shown.returncode, shown.stderr) == (written.returncode, written.stderr) == (listed.returncode, "") == (0, "")
    )
    assert "?? " in shown.stdout
    assert written.stdout == page.read_text("utf-8")
    assert json.loads(listed.stdout)["name"] == "smile 😀"


@pytest.mark.parametrize("module", ["runspan", "runspan.cli"])
def test_python_runs_the_command_as_a_module(module, file):
    """Where scripts are not on the PATH, ``python -m`` is the command, with its exit codes."""
    asked = [sys.executable, "-m", module]
    shown = subprocess.run([*asked, "view", str(file)], capture_output=True, text=True, timeout=110, check=False)
    assert (shown.returncode, f"trace {TRACE_ID:032x}" in shown.stdout) == (0, True)
    wrong = subprocess.run([*asked, "view", "none"], capture_output=True, text=True, timeout=110, check=False)
    assert (wrong.returncode, wrong.stderr) == (1, "none: No such file or directory.\n")


def test_the_version_is_printed():
    """The version is that of the package."""
    assert run("--version") == (0, f"{runspan.__version__}\n")
    assert Path(runspan.__file__).name == "__init__.py"
