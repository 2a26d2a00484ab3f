"""What pytest finds of runspan by itself. Every test run of an environment imports it, so it imports little."""

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from runspan.testing import Trace


@pytest.fixture
def trace() -> "Iterator[Trace]":
    """Record what LangChain, LangGraph and instrumented code do in this test; a ``runspan.testing.Trace``."""
    from runspan.testing import Trace  # noqa: PLC0415  LangChain, for those who use it

    with Trace() as recorded:
        yield recorded


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the tree of the fixture ``trace`` to the report of a test that failed, unless the failure has it."""
    report = yield
    testing = sys.modules.get("runspan.testing")  # not there: nobody has the fixture
    if testing is not None and call.when == "call" and call.excinfo is not None and report.failed:
        recorded = getattr(item, "funcargs", {}).get("trace")
        if isinstance(recorded, testing.Trace) and (tree := recorded.tree()) not in str(call.excinfo.value):
            report.sections.append(("Trace", tree))
    return report
