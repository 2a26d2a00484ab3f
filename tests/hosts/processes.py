"""Programs that patch the standard library, or import what makes greenlets: each runs in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parent.parent.parent


def run_program(code: str, *arguments: str, seconds: float = 100, **environment: str) -> list[str]:
    """Run a program to its end and return the lines that it printed; one that hangs fails the test."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(code), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
