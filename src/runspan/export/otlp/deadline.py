"""A deadline for all of a request, from the look-up of the host to the last byte of the answer.

The timeouts of ``requests`` bound each step, so a receiver that sends a byte per second would hold a thread for hours.
"""

import math
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runspan._threads import Empty, SimpleQueue, original, start_thread

if TYPE_CHECKING:
    _Socket = socket.socket
else:
    _Socket = original("socket", "socket")

_T = TypeVar("_T")
_Addresses = list[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
_OVER: Final = "the time is over"
_SHORTEST_SECONDS: Final = 0.001  # 0 would mean not to wait at all
current_deadline: Final[ContextVar["RequestDeadline | None"]] = ContextVar("runspan_request_deadline", default=None)
_until: Final[ContextVar[float]] = ContextVar("runspan_until", default=math.inf)


@contextmanager
def _having(variable: ContextVar[_T], value: _T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def ending_by(moment: float) -> AbstractContextManager[None]:
    """Have all requests of this thread end by a moment of ``time.monotonic``."""
    return _having(_until, moment)


def seconds_for(timeout_seconds: float) -> float:
    """Return how long a request may take that has a timeout of its own."""
    return max(min(timeout_seconds, _until.get() - time.monotonic()), _SHORTEST_SECONDS)


class RequestDeadline:
    """What bounds the sockets of one attempt at a request, at each of their steps."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._aborted = False
        self.is_alive = False
        """Whether its connection was made just now, or something was received."""
        self._socket: _Socket | None = None
        self._found: SimpleQueue[_Addresses | Exception] = SimpleQueue()

    def bounds(self) -> AbstractContextManager[None]:
        """Bound the sockets that this thread uses."""
        return _having(current_deadline, self)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._aborted or time.monotonic() >= self._until

    @property
    def was_stale(self) -> bool:
        """Whether a connection kept from before failed, and not a single byte was received."""
        return self._socket is not None and not (self.is_alive or self.is_over)

    def abort(self) -> None:
        """Make what waits fail; for another thread."""
        self._aborted = True
        self._found.put(TimeoutError(_OVER))
        if self._socket is not None:
            with suppress(OSError):  # not connected, or closed just now
                self._socket.shutdown(socket.SHUT_RDWR)

    def connect(self, host: str, port: int) -> "BoundedSocket":
        """Connect to the first address of a host that answers; the time is shared by those that are left to try."""
        self.is_alive = True
        addresses = self._addresses_of(host, port)
        failure = OSError(f"{host} has no address")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            connecting = BoundedSocket(family, kind, protocol)
            try:
                connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.begin_step(connecting, 1 / (len(addresses) - number))
                connecting.connect(address)
            except OSError as error:
                connecting.close()
                self._left()  # which fails if it is over: a broken pipe of ``abort`` would be ignored by urllib3
                failure = error
            else:
                return connecting
        raise failure

    def begin_step(self, busy: _Socket, share: float = 1.0) -> None:
        """Give one operation of a socket what is left of the time, or a share of it."""
        self._socket = busy
        busy.settimeout(self._left() * share)

    def _left(self) -> float:
        if self.is_over:
            raise TimeoutError(_OVER)
        return max(self._until - time.monotonic(), _SHORTEST_SECONDS)

    def _addresses_of(self, host: str, port: int) -> _Addresses:
        """Have a thread of its own look up a host: that takes no deadline, and half a minute if it doesn't work."""
        found = self._found

        def look_up() -> None:
            try:
                found.put(original("socket", "getaddrinfo")(host, port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                found.put(error)

        try:
            start_thread(look_up)
        except RuntimeError:  # no more threads, or Python is exiting
            look_up()
        try:
            addresses = found.get(timeout=self._left())
        except Empty:
            raise TimeoutError(_OVER) from None
        if isinstance(addresses, Exception):
            raise addresses
        return addresses


class BoundedSocket(_Socket):
    """A socket whose every step is bounded by the deadline of its thread."""

    def recv(self, *arguments: Any) -> bytes:  # noqa: D102  the interface's
        return self._bounded(super().recv, *arguments)

    def recv_into(self, *arguments: Any) -> int:  # noqa: D102  the same
        return self._bounded(super().recv_into, *arguments)

    def sendall(self, *arguments: Any) -> None:  # noqa: D102  the same
        self._bounded(super().sendall, *arguments)  # the timeout of a plain socket is for all the data

    def _bounded(self, step: Callable[..., _T], *arguments: Any) -> _T:
        deadline = current_deadline.get()
        if deadline is None:
            return step(*arguments)
        deadline.begin_step(self)
        result = step(*arguments)
        deadline.is_alive = deadline.is_alive or bool(result)
        return result
