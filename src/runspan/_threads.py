"""Threads of the operating system, and what they share, also where gevent or eventlet has put greenlets instead.

Such a patch may come before this module is imported, after it, or never. A lock, a queue or a thread that is half of
one kind and half of the other waits for ever, so ours are always the original ones. Two rules follow:

- A ``Lock`` is held for a few steps only. What is held while something is logged, written or sent is a
  ``PatientLock``, and what the application waits for an ``Event``: they let other greenlets of the thread run, one of
  which may be needed to end the waiting.
- Functions of the application, such as the ``force_flush`` of its span processors, are called in a
  ``threading.Thread``, whatever the application has made of that.
"""

import importlib
import signal
import sys
import threading
import time
from _thread import TIMEOUT_MAX
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING, Any, Final, Self

__all__ = [
    "TIMEOUT_MAX",
    "Empty",
    "Event",
    "Lock",
    "PatientLock",
    "RLock",
    "SimpleQueue",
    "get_ident",
    "is_own_thread",
    "is_patched",
    "original",
    "sleep",
    "start_thread",
]


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
    get_ident = original("_thread", "get_ident")
    SimpleQueue = original("queue", "SimpleQueue")
    Lock = original("_thread", "allocate_lock")
    RLock = original("_thread", "RLock")
    sleep = original("time", "sleep")

_start_new_thread: Final = original("_thread", "start_new_thread")
# How long other greenlets run before one that waits looks again.
_STEP_SECONDS: Final = 0.01
_own_threads: Final[set[int]] = set()
# An application that blocks a signal in its threads, as Celery's pool does while it holds a lock of several processes,
# must not get it by one of ours. Programs that our threads start inherit the mask, so no others are blocked.
_LEFT_TO_OTHERS: Final = [
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, "pthread_sigmask")
]


def start_thread(function: Callable[[], object], name: str = "") -> None:
    """Start a thread that the end of the process does not wait for.

    Args:
        function: what it calls.
        name: what log lines call it. Before Python 3.12 a thread with a name is listed after its end: none for one that
            ends soon.

    Raises:
        RuntimeError: there can be no more threads, or Python is exiting.
    """
    _start_new_thread(_run, (function, name))


def _run(function: Callable[[], object], name: str) -> None:
    if _LEFT_TO_OTHERS:
        signal.pthread_sigmask(signal.SIG_BLOCK, _LEFT_TO_OTHERS)
    _own_threads.add(get_ident())
    if name:
        threading.current_thread().name = name
    try:
        function()
    finally:
        _own_threads.discard(get_ident())


def is_own_thread() -> bool:
    """Return whether this thread is one of ours, in which nothing of the application's runs but what we call."""
    return get_ident() in _own_threads


def is_patched() -> bool:
    """Return whether waiting lets greenlets run by now."""
    return time.sleep is not sleep


class PatientLock:
    """A lock that may be held for long."""

    def __init__(self) -> None:
        self._lock = Lock()

    def acquire(self, seconds: float = TIMEOUT_MAX) -> bool:
        """Wait for so long at most; return whether it is held now."""
        until = time.monotonic() + seconds
        while not self._lock.acquire(blocking=False):
            left = until - time.monotonic()
            if left <= 0:
                return False
            if not _let_greenlets_run(min(left, _STEP_SECONDS)):
                return self._lock.acquire(timeout=min(left, TIMEOUT_MAX))
        return True

    def release(self) -> None:
        """Let another have it."""
        self._lock.release()

    def locked(self) -> bool:
        """Return whether somebody holds it."""
        return self._lock.locked()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Event:
    """A flag that is set once, and waited for."""

    def __init__(self) -> None:
        self._unset = PatientLock()
        self._unset.acquire()
        self._is_set = False

    def is_set(self) -> bool:
        """Return whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Let go of all who wait."""
        self._is_set = True
        self._release()

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most; return whether it was set."""
        if not self._is_set and self._unset.acquire(seconds):
            self._release()  # for the next who waits
        return self._is_set

    def _release(self) -> None:
        with suppress(RuntimeError):  # two set it at once
            self._unset.release()


def _let_greenlets_run(seconds: float) -> bool:
    """Sleep as the application does; False where that would let nothing run."""
    if not is_patched() or is_own_thread():
        return False
    try:
        time.sleep(seconds)
    except (AssertionError, RuntimeError):  # gevent's and eventlet's: this is the event loop, which runs all else
        return False
    return True
