"""Nothing is run here without an engine: it says what is missing."""

import pytest

from e2e.engine import missing


def pytest_collection_finish():
    """Say what is missing, once."""
    if lacking := missing():
        pytest.exit(f"Missing: {lacking}.", returncode=1)
