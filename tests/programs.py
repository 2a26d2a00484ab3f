"""Python code that runs in a process of its own, as what is global is set once per process."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

# What each program begins with.
PREAMBLE = """
import json, logging, os, time
from opentelemetry import trace
from runspan._configure import configure

def emit(value): print(json.dumps(value), flush=True)
def end(name): trace.get_tracer("test").start_span(name).end()
"""


@dataclass
class Ended:
    """A process that ended well: what it emitted, what it logged, and how long its exit took after the last line."""

    emitted: list[Any]
    stderr: list[str]
    exit_seconds: float


def run_python(code: str, *, as_json: bool = True, **environment: str) -> Ended:
    """Run code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + dedent(code) + "\nemit(time.time())"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ended_at = time.time()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    emitted = [json.loads(line) for line in lines] if as_json else [*lines[:-1], json.loads(lines[-1])]
    return Ended(emitted[:-1], done.stderr.splitlines(), ended_at - emitted[-1])
