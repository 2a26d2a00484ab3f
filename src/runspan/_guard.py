"""The one broad ``except``: foreign data and foreign code may raise anything, the application must not feel it.

LangChain hands over whatever its users put into messages, states and tools. What goes wrong with it here is counted
and logged once for each place and kind of error; the run goes on and its span still ends.
"""

import itertools
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_D = TypeVar("_D")

_logger = logging.getLogger("runspan")
# Counters that are safe to advance from any thread, and from a finalizer in the middle of anything, without a lock.
_counters: defaultdict[tuple[str, str], "itertools.count[int]"] = defaultdict(lambda: itertools.count(1))
_faults: dict[tuple[str, str], int] = {}


def attempt(function: Callable[..., _T], *args: object, default: _D) -> _T | _D:
    """Call a function that may fail on foreign data; a failure is counted and gives the default."""
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001  the guard
        _note(function, error)
        return default


def faults() -> int:
    """Return how many errors the guard has kept from the application in this process."""
    return sum(_faults.values())


def _note(function: Callable[..., object], error: Exception) -> None:
    where = getattr(function, "__qualname__", type(function).__name__)
    key = (where, type(error).__qualname__)
    _faults[key] = count = next(_counters[key])
    if count == 1:
        _logger.warning(
            "%s failed with %s; the span goes on without what it would have added, and further ones like it are only"
            " counted. If the payload looks ordinary, please report it with the traceback (logger 'runspan', DEBUG).",
            where,
            key[1],
        )
        _logger.debug("The first failure of %s", where, exc_info=error)
