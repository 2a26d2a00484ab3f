"""Threads of the operating system, and what they share, also where gevent or eventlet has put greenlets in their place.

Such a patch may come before this module is imported, after it, or never. A lock, a queue or a thread that is half of
one kind and half of the other waits for ever, so ours are always the original ones. Two rules follow:

- Where the application's code may wait, it waits by ``Event``, which lets other greenlets run meanwhile.
- A ``Lock`` is held for a few steps only, never while something is logged, imported, sent or waited for: another
  greenlet of the same thread could never release it.

Code of the application (a callback, the ``force_flush`` of a foreign span processor) runs in a ``threading.Thread`` as
the application has it.
"""

import importlib
import sys
import time
from _thread import TIMEOUT_MAX
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING, Any, Final

__all__ = ["Empty", "Event", "Lock", "RLock", "SimpleQueue", "get_ident", "original", "sleep", "start_thread"]


def original(module: str, name: str) -> Any:
    """Return what the standard library has under a name, though gevent or eventlet may have replaced it."""
    if (gevent := sys.modules.get("gevent.monkey")) is not None:
        return gevent.get_original(module, name)
    if (eventlet := sys.modules.get("eventlet.patcher")) is not None:
        return getattr(eventlet.original(module), name)
    return getattr(importlib.import_module(module), name)


if TYPE_CHECKING:
    from _thread import get_ident
    from queue import SimpleQueue
    from threading import Lock, RLock
    from time import sleep
else:
    Lock = original("_thread", "allocate_lock")
    RLock = original("_thread", "RLock")
    SimpleQueue = original("queue", "SimpleQueue")
    get_ident = original("_thread", "get_ident")
    sleep = original("time", "sleep")

_start_new_thread: Final = original("_thread", "start_new_thread")
# How long other greenlets run before one that waits looks again.
_STEP_SECONDS: Final = 0.01


def start_thread(function: Callable[[], object], name: str) -> None:
    """Start a thread that the end of the process does not wait for.

    Args:
        function: what it calls.
        name: how it is called in log lines.

    Raises:
        RuntimeError: there can be no more threads, or Python is exiting.
    """
    _start_new_thread(_run, (function, name))


def _run(function: Callable[[], object], name: str) -> None:
    importlib.import_module("threading").current_thread().name = name
    function()


class Event:
    """A flag that is set once, and waited for."""

    def __init__(self) -> None:
        self._is_set = False
        self._unset = Lock()
        self._unset.acquire()

    def is_set(self) -> bool:
        """Tell whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Let go of who waits."""
        self._is_set = True
        self._release()

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most; tell whether it was set."""
        until = time.monotonic() + seconds
        while not self._is_set and (left := until - time.monotonic()) > 0:
            if not _let_greenlets_run(min(left, _STEP_SECONDS)) and self._unset.acquire(timeout=min(left, TIMEOUT_MAX)):
                self._release()  # for the next who waits
        return self._is_set

    def _release(self) -> None:
        with suppress(RuntimeError):  # another thread has released it
            self._unset.release()


def _let_greenlets_run(seconds: float) -> bool:
    """Sleep as the application does; False where that is no different."""
    if time.sleep is sleep:
        return False
    try:
        time.sleep(seconds)
    except (AssertionError, RuntimeError):  # gevent, eventlet: this is the event loop itself, nothing runs beside it
        return False
    return True
