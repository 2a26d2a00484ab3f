"""The guard keeps errors of foreign code from the application, but for those that are not about that code."""

import asyncio
import dataclasses
import itertools
import types
from collections import defaultdict

import orjson
import pytest

from runspan import _guard
from runspan._guard import attempt, attempt_async, faults


class PanicError(BaseException):
    """As pyo3's: no Exception."""


# As gevent's, which it throws into a greenlet whose time is over.
Timeout = type("Timeout", (BaseException,), {"__module__": "gevent.timeout"})


@pytest.fixture
def _own_faults(monkeypatch):
    """Leave those of other tests alone."""
    monkeypatch.setattr(_guard, "_faults", {})
    monkeypatch.setattr(_guard, "_counters", defaultdict(lambda: itertools.count(1)))


def throw(error):
    raise error


async def throw_async(error):
    raise error


@pytest.mark.parametrize(
    "error", [ValueError(), PanicError(), asyncio.CancelledError(), GeneratorExit(), StopIteration()]
)
def test_what_foreign_code_raises_is_contained_and_counted(error):
    """Whatever class of error it is, it gives the default and is counted."""
    before = faults()
    assert attempt(throw, error, default="default") == "default"
    assert faults() == before + 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), Timeout()])
async def test_what_ends_the_application_gets_through(error):
    """An interrupt, an exit, and what ends a greenlet are the application's."""
    with pytest.raises(type(error)):
        attempt(throw, error, default=None)
    with pytest.raises(type(error)):
        await attempt_async(throw_async, error, default=None)


@pytest.mark.parametrize("error", [ValueError(), PanicError()])
async def test_what_foreign_coroutines_raise_is_contained(error):
    """An error of a coroutine gives the default."""
    assert await attempt_async(throw_async, error, default="default") == "default"


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
def test_a_coroutine_can_be_ended(error):
    """A coroutine that is cancelled or closed while it waits for foreign code ends."""

    @types.coroutine
    def waiting():
        yield

    running = attempt_async(waiting, default=None)
    running.send(None)
    with pytest.raises(type(error)):
        running.throw(error)


@pytest.mark.usefixtures("_own_faults")
def test_kinds_of_failures_that_are_made_as_the_application_runs(caplog):
    """What is told apart, and logged, has a bound; all is counted."""
    before = faults()
    for number in range(1100):
        attempt(throw, type(f"Error{number}", (Exception,), {})(), default=None)
    assert faults() == before + 1100
    assert len(caplog.records) <= 1001
    caplog.clear()
    attempt(throw, type("Another", (Exception,), {})(), default=None)
    assert caplog.records == []


@pytest.mark.usefixtures("_own_faults")
@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (dataclasses.fields, "It was raised in the module dataclasses."),
        (orjson.loads, "If the payload looks ordinary, please report it."),
    ],
)
def test_whose_code_failed_is_logged(caplog, function, hint):
    """The line about a failure names the module that raised it, unless that is one of ours."""
    attempt(function, object(), default=None)
    assert [hint in record.getMessage() for record in caplog.records] == [True]


def test_a_function_of_no_module():
    """A function that does not say where it is from is contained like any other."""
    before = faults()
    assert attempt("x".index, "y", default="default") == "default"
    assert faults() == before + 1
