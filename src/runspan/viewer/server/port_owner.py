"""Which process listens on a port, as far as Linux lets its user see."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_LISTENING: Final = "0A"
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")


def port_owner(port: int) -> str:
    """Return name and id of the process that listens on a port, or its user if that alone can be seen, or nothing."""
    sockets = {each: user for table in ("tcp", "tcp6") for each, user in _listening(Path("/proc/net") / table, port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any((found := _SOCKET.match(each)) and found[1] in sockets for each in _descriptors(process)):
                # A name has 15 bytes, whatever letter ends there.
                name = (process / "comm").read_text(errors="replace").strip()
                return f"{name} (process {process.name})"
        except OSError:  # another user's, or it has ended
            continue
    return next((f"a process of {_user_name(user)}" for user in sockets.values()), "")


def _descriptors(process: Path) -> Iterator[str]:
    for each in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield str(each.readlink())


def _listening(table: Path, port: int) -> list[tuple[str, int]]:
    """Return the numbers of the sockets that listen on a port, and of their users.

    https://www.kernel.org/doc/Documentation/networking/proc_net_tcp.txt
    """
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:  # no Linux
        return []
    found = (row for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port)
    return [(row[9], int(row[7])) for row in found]


def _user_name(user: int) -> str:
    import pwd  # noqa: PLC0415  Windows has none

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
