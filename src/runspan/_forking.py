"""What a forked child has to set right: it has all of its parent's memory, but only the thread that forked."""

import os
from collections.abc import Callable

from runspan._threads import RLock


def in_forked_child(function: Callable[[], None]) -> Callable[[], None]:
    """Call a function first thing in every forked child; nothing on Windows, which has no fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
    return function


def fork_safe_lock() -> RLock:
    """Return a lock that no other thread holds while the process forks: the child would wait for it for ever.

    A fork takes such locks in the reverse order in which they were made. So a module's own may be held where those of
    the modules it imports are taken, not the other way round.
    """
    lock = RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock
