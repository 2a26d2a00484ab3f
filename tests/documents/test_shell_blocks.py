"""The shell of the README and of the pages: its lines as they stand, in a folder as a reader has it."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement

from runspan.cli.commands import app
from tests.compose_file import of_profile
from tests.documents.code_blocks import ROOT
from tests.otlp_receivers import HttpReceiver

pytestmark = [pytest.mark.newest, pytest.mark.timeout(400)]

PAGES = {path.stem: path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]}
BLOCKS = [
    (page, language, block)
    for page, text in PAGES.items()
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([\w-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
COMMANDS = {
    name: {option for each in command.params for option in each.opts if option.startswith("-")}
    for name, command in typer.main.get_command(app).commands.items()
}
# The lines of each page, those once that stand in several.
SHELL: dict[str, list[str]] = {}
for page, language, block in BLOCKS:
    new = [
        line for line in block.splitlines() if language == "sh" and not any(line in lines for lines in SHELL.values())
    ]
    SHELL.setdefault(page, []).extend(new)
# What a reader puts in the place of a name, and the program that the page is about.
STANDS_FOR = {"FILE": "trace.jsonl"}
QUIET = (
    'from langchain_core.runnables import RunnableLambda\nRunnableLambda(len, name="answer").invoke("What is it?")\n'
)
PROGRAMS = {"index": next(block for page, language, block in BLOCKS if (page, language) == ("index", "python"))}
ARRIVING = {
    "README": {"RunnableSequence", "ChatPromptTemplate", "anthropic.messages.create"},
    "index": {"RunnableSequence", "shout", "count"},
    "zero-code": {"answer"},
}


def can_be_installed(*requirements):
    """Check what pip is asked for: our extras are there, and other packages are in the environment of the tests."""
    for requirement in map(Requirement, (each.replace(".", PROJECT["name"], each[:1] == ".") for each in requirements)):
        if requirement.name == PROJECT["name"]:
            assert requirement.extras <= PROJECT["optional-dependencies"].keys()
        else:
            assert distribution(requirement.name)
    assert requirements


def is_composed(*options):
    """Check that the engine is asked for what `make e2e-compose` tries."""
    assert options == ("up", "-d", "--wait")
    assert of_profile(None)


def is_a_target(*targets):
    """Check that make knows what it is asked for."""
    assert targets
    assert set(targets) <= TARGETS


def has_options(command, *options):
    """Check that our command has its options."""
    assert set(options) <= COMMANDS[command]


# Not run here, and what is checked in place of it.
NOT_RUN = {
    "pip install": ("needs a package index; `make build` installs the wheel with each extra", can_be_installed),
    "docker compose": ("needs an engine; tests/e2e_compose has one", is_composed),
    "make test": ("would run this test", lambda: is_a_target("test")),
    "runspan ui": ("serves for ever at ports that others may hold; tests/viewer/test_ui.py", lambda: has_options("ui")),
}


@pytest.fixture
def folder(tmp_path):
    """A clone whose environment is that of the tests, which `make demo` takes for its own."""
    for name in ("Makefile", "constraints.txt", "devtools", "examples", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = tmp_path / ".venv"
    environment.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (environment / name).symlink_to(Path(sys.prefix) / name)
    (environment / ".demo").touch()
    return tmp_path


def run(line, folder, receiver):
    """Run a line as it stands, but for the address of the receiver; return what it prints."""
    for name, instead in {**STANDS_FOR, "http://localhost:4318": receiver.endpoint}.items():
        line = line.replace(name, instead)
    # Without what a make around the tests would hand down, such as the folder of its environment.
    ours = ("OTEL_", "RUNSPAN_", "MAKE", "MFLAGS")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables = {
        "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    done = subprocess.run(  # noqa: S602  the lines of the pages
        line,
        shell=True,
        cwd=folder,
        env={**plain, **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", ARRIVING)
def test_the_shell_of_a_page_runs(page, folder):
    """Each line does its work, or what it names is there; its spans arrive, and what the page shows is printed."""
    (folder / "app.py").write_text(PROGRAMS.get(page, QUIET))
    printed = ""
    with HttpReceiver() as receiver:
        for line in SHELL[page]:
            words = shlex.split(line, comments=True)
            if " ".join(words[:2]) in NOT_RUN:
                _reason, check = NOT_RUN[" ".join(words[:2])]
                check(*words[2:])
            else:
                printed += run(line, folder, receiver)
        assert {span["name"] for span in receiver.received()} >= ARRIVING[page]
    for shown in (block for name, language, block in BLOCKS if (name, language) == (page, "text")):
        lines = without_numbers(printed)
        assert [each for each in without_numbers(shown) if not any(line.startswith(each) for line in lines)] == []


def without_numbers(text):
    """Return the lines of a text without ids and times, as far as they are shown."""
    return [re.sub(r"\s+", " ", re.sub(r"[0-9a-f]{32}|[\d.]+ ms|\.\.\.$", "", line)) for line in text.splitlines()]


def test_each_block_says_its_language():
    """A block is Python, which test_code_blocks.py runs, shell, which is run here, JSON, or text that is shown."""
    assert {
        (page, language) for page, language, _ in BLOCKS if language not in {"python", "sh", "json", "text"}
    } == set()
    assert all(json.loads(block) for _, language, block in BLOCKS if language == "json")


def test_all_shell_is_run():
    """Each page with shell is run here; each command that is only checked stands in one."""
    assert {page for page, lines in SHELL.items() if lines} == ARRIVING.keys()
    shell = "\n".join(line for lines in SHELL.values() for line in lines)
    assert [command for command in NOT_RUN if command not in shell] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_that_a_text_names_exist(page):
    """Targets of make, commands of ours with their options, and extras that stand in the text are there."""
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)):
        words = code.replace("\\|", "|").split()
        if words[:1] == ["make"] and len(words) > 1:
            is_a_target(words[1].rstrip(","))
        elif words[:1] == ["runspan"] and len(words) > 1:
            has_options(words[1], *(word for word in words if word.startswith("-")))
    for extras in re.findall(r"runspan\[([\w,]+)\]", PAGES[page]):
        can_be_installed(f".[{extras}]")
