"""The one broad ``except``: foreign data and foreign code may raise anything, the application must not feel it.

LangChain hands over whatever its users put into messages, states and tools. What goes wrong with it here is counted
and logged once for each place and kind of error; the run goes on and its span still ends.
"""

import itertools
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
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


async def attempt_async(
    function: Callable[..., Awaitable[_T]], *args: object, default: _D, **keywords: object
) -> _T | _D:
    """Await a call that may fail; a failure is counted and gives the default."""
    try:
        return await function(*args, **keywords)
    except Exception as error:  # noqa: BLE001  the guard
        _note(function, error)
        return default


def faults() -> int:
    """Return how many errors the guard has kept from the application in this process."""
    return sum(_faults.values())


def _note(function: Callable[..., object], error: Exception) -> None:
    function = getattr(function, "func", function)  # of a partial
    where = getattr(function, "__qualname__", type(function).__name__)
    key = (where, type(error).__qualname__)
    _faults[key] = count = next(_counters[key])
    if count == 1:
        is_ours = getattr(function, "__module__", "").startswith("runspan")
        _logger.warning(
            "%s failed with %s; the run and its span go on without what it would have done, and further failures like"
            " it are only counted. %s (The traceback: logger 'runspan', level DEBUG.)",
            where,
            key[1],
            "If the payload looks ordinary, please report it." if is_ours else "It is not runspan's own.",
        )
        _logger.debug("The first failure of %s", where, exc_info=error)
