"""Files that one process at a time has: the kernel frees the lock with the process, however that ends.

A lock belongs to a descriptor that was opened for it, so two users of a file in one process exclude each other, too.
A forked child inherits descriptors, and would hold its parent's locks for as long as it lives: it closes them at once.
"""

import os
import sys
from pathlib import Path

from runspan._forking import fork_safe_lock, in_forked_child

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_open_descriptors: set[int] = set()
_opening = fork_safe_lock()


def open_locked(path: Path) -> int | None:
    """Open a file that nobody else has locked, for reading and writing; None if somebody has, or it is gone.

    Raises:
        OSError: if it can't be opened for another reason.
    """
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with _opening:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            return None
        _open_descriptors.add(descriptor)
        is_ours = False
        try:
            _lock(descriptor)
            is_ours = os.fstat(descriptor).st_nlink > 0
        except (BlockingIOError, PermissionError):  # the latter on Windows
            pass
        finally:
            if not is_ours:  # also of a file that was removed just now
                close_locked(descriptor)
        return descriptor if is_ours else None


def close_locked(descriptor: int) -> None:
    """Close a file and let others have it."""
    with _opening:
        _open_descriptors.discard(descriptor)
        os.close(descriptor)


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:

    def _lock(descriptor: int) -> None:
        # Not lockf, whose locks are the process's, not the descriptor's.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@in_forked_child
def _close_inherited() -> None:
    while _open_descriptors:
        os.close(_open_descriptors.pop())
