"""Fixtures that run the real backends, send the same traces to each, and read them back."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.interop.browser import BROWSER
from tests.interop.sending import Sender
from tests.interop.servers import MLFLOW, PHOENIX, MLflow, Phoenix

collect_ignore = [] if BROWSER else ["test_pictures.py"]


def pytest_report_header():
    """Say so if no pictures are taken."""
    return None if BROWSER else "no Chromium on PATH: the pictures in docs/ stay as they are"


def pytest_collection_finish():
    """Say what is missing, once."""
    if not (PHOENIX.exists() and MLFLOW.exists()):
        pytest.exit("Phoenix and MLflow are not here: run `make interop`.", returncode=1)


def pytest_collection_modifyitems(items):
    """Give the first test the time that the servers take to start."""
    for item in items:
        item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def backends(tmp_path_factory):
    """Run Phoenix and MLflow, which take half a minute and more to start."""
    made = [kind(tmp_path_factory.mktemp(kind.__name__)) for kind in (Phoenix, MLflow)]
    with ExitStack() as stack:
        for each in made:
            stack.push(each)
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda each: each.start(), made))
        yield {type(each): each for each in made}


@pytest.fixture(scope="session")
def sender(backends):
    """Send traces to all of them."""
    with Sender(backends.values()) as made:
        yield made


@pytest.fixture(scope="session")
def phoenix(backends):
    """Give Phoenix."""
    return backends[Phoenix]


@pytest.fixture(scope="session")
def mlflow(backends):
    """Give MLflow."""
    return backends[MLflow]
