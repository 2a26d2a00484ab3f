"""Fixtures that run the real Jaeger and the real Collector."""

from contextlib import ExitStack

import pytest

from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger
from tests.e2e.program import BACKENDS


def pytest_collection_finish():
    """Say what is missing, once."""
    if not BACKENDS.exists():
        pytest.exit("Jaeger and the Collector are not here: run `make backends`, or `make e2e`.", returncode=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the end of every program's log where a test fails."""
    report = yield
    if report.failed and "tmp_path" in item.funcargs:
        for log in sorted(item.funcargs["tmp_path"].glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-40:]
            report.sections.append((f"end of {log.name}", "\n".join(line[:1000] for line in lines)))
    return report


@pytest.fixture
def start():
    """Give a function that starts a program, which ends with the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def jaeger(start, tmp_path):
    """Run Jaeger with its storage in memory."""
    return start(Jaeger(tmp_path))


@pytest.fixture
def collector(start, tmp_path, jaeger):
    """Run a Collector that sends to that Jaeger."""
    return start(Collector(tmp_path, JAEGER_OTLP_ENDPOINT=jaeger.otlp))
