"""Two programs of ``programs``, and what is below what in the trace that they make together."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
SECONDS = 120


def run(receiver, *command, given=None, **environment):
    """Run a program that sends its spans to a receiver; return what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=PROGRAMS,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "PYTHONWARNINGS": "ignore", **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


def below(spans):
    """Return the spans as pairs of the name of the parent, None at the top of a trace, and its own, sorted."""
    by_id = {span["span_id"]: span for span in spans}
    for span in spans:
        parent = by_id.get(span["parent_span_id"])
        assert parent is not None or not span["parent_span_id"], f"the parent of {span['name']} did not come"
        assert parent is None or parent["trace_id"] == span["trace_id"]
    return sorted((by_id.get(span["parent_span_id"], {}).get("name") or "", span["name"]) for span in spans)


def ended(host):
    """End the server and return what came from both."""
    host.terminate()
    return host.receiver.received()
