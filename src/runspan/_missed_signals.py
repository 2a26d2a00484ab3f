"""SIGTERM in a child of multiprocessing that came just before its main thread began to wait in C.

Python calls a handler between two bytecodes of the main thread. A signal that comes after the last of them is handled
when the wait is over: with the semaphore of a pool that is being terminated, that may be never. So a thread reads what
Python writes to its wakeup descriptor, and sends the signal once more until the handler was called: that breaks off the
wait. https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from runspan._forking import in_forked_child
from runspan._threads import sleep, start_thread

_SECONDS: Final = 0.2
_pipe: list[int] = []


def is_child() -> bool:
    """Return whether multiprocessing has started this process."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def send_missed_again(was_called: Callable[[], bool]) -> None:
    """Begin, in the main thread; nothing where an event loop has the wakeup descriptor.

    Args:
        was_called: whether the handler was called.
    """
    if _pipe:
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    if earlier != -1:
        signal.set_wakeup_fd(earlier)
        os.close(reading)
        os.close(writing)
        return
    _pipe.extend((reading, writing))
    main = threading.main_thread().ident or 0

    def watch() -> None:
        while signal.SIGTERM not in os.read(reading, 64):
            pass
        while not was_called():
            sleep(_SECONDS)
            if not was_called():
                signal.pthread_kill(main, signal.SIGTERM)

    start_thread(watch)


@in_forked_child
def _leave_to_parent() -> None:
    """Close what this child has of its parent's."""
    if _pipe:
        if (other := signal.set_wakeup_fd(-1)) not in (-1, _pipe[1]):
            signal.set_wakeup_fd(other)
        for each in _pipe:
            os.close(each)
        _pipe.clear()
