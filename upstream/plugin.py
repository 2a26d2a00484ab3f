"""A pytest plugin: one handler in every LangChain invocation, and notes of what came of it.

Loaded by ``run.py`` with ``-p plugin --handler=NAME --notes=FILE``; the notes are JSON.
"""
# ruff: noqa: INP001  modules beside a script, no package

import json
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tracers.context import register_configure_hook
from listeners import LogLines, Runs, Spans


class Notes:
    """The hooks that note what becomes of each test."""

    def __init__(self, path: Path, handler: str) -> None:
        self.path = path
        self.test = "no test"
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.log_lines = LogLines(lambda: self.test)
        self.listener = Runs(lambda: self.test) if handler == "empty" else Spans(lambda: self.test)
        in_every_invocation: ContextVar[Any | None] = ContextVar("in_every_invocation", default=self.listener.handler)
        register_configure_hook(in_every_invocation, inheritable=True)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note which test runs now."""
        self.test = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of one phase of a test."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that can't be imported as a test that failed."""
        if report.failed:
            self._note(report)

    def pytest_unconfigure(self) -> None:
        """Write the notes."""
        notes = {
            "outcomes": self.outcomes,
            "reasons": self.reasons,
            "log_lines": self.log_lines.lines,
            **self.listener.collect(),
        }
        self.path.write_text(json.dumps(notes))

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # The first phase that does not pass has the outcome.
        if self.outcomes.get(report.nodeid, "passed") == "passed":
            self.outcomes[report.nodeid] = report.outcome
        if report.failed:
            self.reasons.setdefault(report.nodeid, report.longreprtext)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    parser.addoption("--handler", choices=["empty", "runspan"], required=True, help="what to put into each invocation")
    parser.addoption("--notes", type=Path, required=True, help="the file to write")


def pytest_configure(config: pytest.Config) -> None:
    """Put the handler into every invocation from now on."""
    config.pluginmanager.register(Notes(config.getoption("--notes"), config.getoption("--handler")))
