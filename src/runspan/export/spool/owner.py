"""Which process put or claimed a request of a spool, and whether that process is gone."""

import os
import platform
import secrets
import sys
from pathlib import Path


def _place() -> str:
    """Return what tells apart places where the same process id means different processes: boots and containers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return platform.node()


_PLACE = _place()


class _Process:
    """The name of this process, for no other one the same."""

    def __init__(self) -> None:
        self.start_afresh()

    def start_afresh(self) -> None:
        """Take a name; a forked child calls it, for the one it has is its parent's."""
        self.name = f"{_PLACE}|{os.getpid()}|{secrets.token_hex(8)}"


this_process = _Process()

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=this_process.start_afresh)


def is_gone(name: str) -> bool:
    """Tell whether the process of this name has certainly ended; of one in another place nothing is known."""
    place, _, rest = name.partition("|")
    number, _, _ = rest.partition("|")
    if not number.isdecimal():
        return True
    if place != _PLACE:
        return False
    if int(number) == os.getpid():  # in a container each start may get the same number
        return name != this_process.name
    return not _is_running(int(number))


def _is_running(number: int) -> bool:
    if sys.platform == "win32":  # where signal 0 would end the process
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
