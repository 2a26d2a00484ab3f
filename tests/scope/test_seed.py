"""The client's program as a process: what its handler prints is the same, whoever drives it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*arguments):
    """Run a script of the project; return what it printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ANTHROPIC_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=plain | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize("way", ["handler", "provider"])
def test_the_six_lines(way):
    """Driven by runspan the handler prints the six lines, as one does in the same run that LangChain drives."""
    done = run("tests/scope/seed_program.py", way)
    lines = done.stdout.splitlines()
    assert lines == done.stderr.splitlines()
    starts = [
        "Chain RunnableSequence started",
        "Chain ChatPromptTemplate started",
        "Chain ended, outputs: messages=[HumanMessage(content='What is 1 + 2?', ",
        "Chat model started",
        "Chat model ended, response: generations=[[ChatGeneration(text='1 + 2 = 3', ",
        "Chain ended, outputs: content='1 + 2 = 3' ",
    ]
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=True)] == starts
