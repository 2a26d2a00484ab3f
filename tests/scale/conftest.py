"""Fixtures that run the programs of the profile `scale`."""

import pytest

from tests.e2e.conftest import pytest_runtest_makereport, start  # noqa: F401  used here as there
from tests.e2e.program import BACKENDS
from tests.scale.programs import SCALE


def pytest_collection_finish():
    """Say what is missing, once."""
    if not (BACKENDS.exists() and SCALE.exists()):
        pytest.exit("Jaeger, the Collector, Kafka or Prometheus are not here: run `make scale`.", returncode=1)
