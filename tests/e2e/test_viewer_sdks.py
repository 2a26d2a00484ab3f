"""``runspan ui`` takes what OpenTelemetry's SDKs for Go and JavaScript send."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.backends import go_environment
from tests.ui import Ui

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "e2e" / "sdks"
# `make e2e` brings npm into this Python's environment where the machine has none.
PATH = os.pathsep.join((os.environ["PATH"], str(Path(sys.executable).parent)))


@pytest.fixture
def ui(tmp_path):
    """The running command."""
    ui = Ui(tmp_path / "traces.sqlite3")
    yield ui
    ui.stop()


@pytest.fixture
def work():
    """A folder with the programs, in which their packages stay for the next time."""
    work = ROOT / ".cache" / "sdks"
    shutil.copytree(SOURCES, work, dirs_exist_ok=True)
    return work


@pytest.mark.timeout(900)
def test_go_sends_by_grpc(ui, work):
    """A span of Go's SDK arrives over gRPC."""
    # Of what the backends were built of some is compiled already.
    build = [shutil.which("go"), "build", "-o", "send", "."]
    subprocess.run(build, cwd=work, env=go_environment(), check=True, timeout=800)
    subprocess.run([work / "send", f"127.0.0.1:{ui.grpc_port}"], check=True, timeout=60)
    assert [each["name"] for each in ui.summaries()] == ["from Go"]


@pytest.mark.timeout(600)
def test_javascript_sends_by_http(ui, work):
    """A span of JavaScript's SDK arrives as JSON and as protobuf: once, as it is the same."""
    npm, node = (shutil.which(name, path=PATH) for name in ("npm", "node"))
    install = [npm, "install", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=work, env={**os.environ, "PATH": PATH}, check=True, timeout=500)
    subprocess.run([node, "send.mjs", f"http://127.0.0.1:{ui.port}/v1/traces"], cwd=work, check=True, timeout=60)
    (summary,) = ui.summaries()
    assert summary["name"] == "from JavaScript"
