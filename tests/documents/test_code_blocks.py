"""The code of the README and of the pages, each page as a process of its own, and what arrives of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.code_blocks import ROOT
from tests.otlp_receivers import HttpReceiver

pytestmark = pytest.mark.newest

PROGRAMS = Path(__file__).parent / "programs"
# Which spans arrive of the program of a page, beside those of clients and servers.
ARRIVING = {
    "README": ["answer", "answer"],
    "backends": ["answer", "answer"],
    "content": ["answer"],
    "delivery": ["answer", "answer", "answer"],
    "handlers": ["answer", "answer", "chat", "invoke_workflow"],
    "hosts": ["answer", "answer", "answer"],
    "index": ["RunnableSequence", "count", "shout"],
    "processes": ["answer", "invoke_workflow", "node"],
    "processors": ["GET /", "answer", "answer"],
    "scopes": ["answer", "answer", "anthropic.messages.create", *["invoke_workflow"] * 2, "node", "node"],
    "viewer": ["answer"],
    "zero-code": ["answer", "invoke_workflow", "node"],
}
HAVE_TESTS_OF_THEIR_OWN = {"recipes": "test_recipes.py", "testing": "testing_kit/test_page.py"}


def run(page, receiver, folder):
    """Run the program of a page; return what it prints."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "RUNSPAN_"))}
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / f"{page.replace('-', '_').lower()}.py")],
        cwd=folder,
        env={**plain, "PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


@pytest.mark.parametrize("page", ARRIVING)
def test_the_code_of_a_page_runs(page, tmp_path):
    """The code of a page runs as it stands there, and its spans arrive."""
    with HttpReceiver() as receiver:
        run(page, receiver, tmp_path)
        arrived = sorted(span["name"] for span in receiver.received())
    assert [name for name in arrived if not name.startswith(("POST", "fastapi."))] == ARRIVING[page]


def test_the_first_page_shows_what_is_printed(tmp_path):
    """The tree that the first page shows is the one that its program prints, but for the times."""
    page = (ROOT / "docs" / "index.md").read_text()
    (shown,) = re.findall(r"^```text\n(RunnableSequence.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    with HttpReceiver() as receiver:
        printed = run("index", receiver, tmp_path)
    trace_id, _, tree = printed.partition("\n")
    assert trace_id.startswith("trace ")
    assert re.sub(r"[\d.]+ ms", "", tree).split() == re.sub(r"[\d.]+ ms", "", shown).split()


def test_every_page_with_code_is_run():
    """Each page that has Python is run here or by a test of its own."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    with_code = {path.stem for path in pages if "```python" in path.read_text()}
    assert with_code == ARRIVING.keys() | HAVE_TESTS_OF_THEIR_OWN.keys()
    assert all((ROOT / "tests" / name).exists() for name in HAVE_TESTS_OF_THEIR_OWN.values())
