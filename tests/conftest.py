"""Fixtures that every test can use."""

import logging
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.objects import set_aside
from tests.tracing import Tracing

# No test asserts on a speed.
settings.register_profile("no speed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no speed")


def pytest_collection_finish():
    """Keep what is there before the first test out of what tests collect and count."""
    set_aside()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Keep the machine's settings out of the tests."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "RUNSPAN_", "LANGSMITH_", "LANGCHAIN_", "ANTHROPIC_")):
            monkeypatch.delenv(name)


@pytest.fixture
def tracing():
    """Trace into memory; nothing may be left open."""
    tracing = Tracing()
    yield tracing
    tracing.settle()


@pytest.fixture
def quiet(caplog):
    """Fail if anything was logged at WARNING or above."""
    caplog.set_level(logging.WARNING)
    yield
    assert [record.getMessage() for record in caplog.records] == []
