"""The one broad ``except``: foreign data and foreign code may raise anything, the application must not feel it.

LangChain hands over whatever its users put into messages, states and tools. What goes wrong with it here is counted
and logged once for each function and kind of error; the run goes on and its span still ends.
"""

import asyncio
import itertools
import logging
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from runspan._threads import is_own_thread

_T = TypeVar("_T")
_D = TypeVar("_D")

_logger = logging.getLogger("runspan")
# Counters that are safe to advance from any thread, and from a finalizer in the middle of anything, without a lock.
_counters: defaultdict[tuple[str, str], "itertools.count[int]"] = defaultdict(lambda: itertools.count(1))
_faults: dict[tuple[str, str], int] = {}
# Functions and errors may be made as the application runs, each with a name of its own.
_MOST_KINDS: Final = 1000
_MOST_FRAMES: Final = -100  # the last ones, where it was raised
_OTHERS: Final = ("One more function", "an error of one more kind")
# What somebody throws into a greenlet to end or to time out what it does, whatever that is; no Exceptions either.
_GREENLETS: Final = ("greenlet", "gevent", "eventlet")


def attempt(function: Callable[..., _T], *args: object, default: _D) -> _T | _D:
    """Call a function that may fail on foreign data; a failure is counted and gives the default."""
    try:
        return function(*args)
    except BaseException as error:  # panics of Rust extensions are no Exceptions
        if _is_for_the_application(error):
            raise
        _note(function, error)
        return default


def attempt_quietly(function: Callable[..., _T], *args: object, default: _D) -> _T | _D:
    """Call what runs a value's own code, as ``attempt`` does; that a value can't be read is logged at DEBUG alone."""
    try:
        return function(*args)
    except BaseException as error:
        if _is_for_the_application(error):
            raise
        _note(function, error, logging.DEBUG)
        return default


async def attempt_async(
    function: Callable[..., Awaitable[_T]], *args: object, default: _D, **keywords: object
) -> _T | _D:
    """Await a call that may fail; a failure is counted and gives the default."""
    try:
        return await function(*args, **keywords)
    except BaseException as error:
        # The last two end the coroutine that awaits this.
        if _is_for_the_application(error) or isinstance(error, asyncio.CancelledError | GeneratorExit):
            raise
        _note(function, error)
        return default


def faults() -> int:
    """Return how many errors the guard has kept from the application in this process."""
    return sum(_faults.values())


def _is_for_the_application(error: BaseException) -> bool:
    """Return whether an error ends the process, the thread or the greenlet, and not just what raised it.

    None of them is ours: in a thread of our own foreign code has nothing to end.
    """
    if isinstance(error, Exception) or is_own_thread():
        return False
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return True
    return any(base.__module__.partition(".")[0] in _GREENLETS for base in type(error).__mro__)


def _note(function: Callable[..., object], error: BaseException, level: int = logging.WARNING) -> None:
    function = getattr(function, "func", function)  # of a partial
    where = getattr(function, "__qualname__", type(function).__name__)
    key = (where, type(error).__qualname__)
    if len(_faults) >= _MOST_KINDS and key not in _faults:
        key = _OTHERS
    _faults[key] = count = next(_counters[key])
    if count == 1:
        module = _raised_in(error)
        _logger.log(
            level,
            "%s failed with %s; the run and its span go on without what it would have done, and further failures like"
            " it are only counted. %s (Where it happened: logger 'runspan', level DEBUG.)",
            *key,
            "If the payload looks ordinary, please report it."
            if module.startswith("runspan.")
            else f"It was raised in the module {module}.",
        )
        # Without the message and the lines of source: both may have what the user keeps out of traces.
        _logger.debug("The first failure of %s:\n%s", where, frames_of(error))


def _raised_in(error: BaseException) -> str:
    """Return the name of the module whose function was the last to be called."""
    raised = error.__traceback__
    while raised is not None and raised.tb_next is not None:
        raised = raised.tb_next
    return str(raised.tb_frame.f_globals.get("__name__")) if raised is not None else __name__


def frames_of(error: BaseException) -> str:
    """Return where an error was raised: file, line and function of each frame, a line each."""
    frames = traceback.extract_tb(error.__traceback__, limit=_MOST_FRAMES)
    return "".join(f'  File "{each.filename}", line {each.lineno}, in {each.name}\n' for each in frames)
