"""A request and its answer over sockets, bounded in time as a whole, and broken off from another thread.

The timeouts of ``requests`` bound each step, so a receiver that sends a byte per second would hold a thread for hours.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from runspan._threads import Empty, SimpleQueue, original, start_thread

if TYPE_CHECKING:
    _Socket = socket.socket
else:
    _Socket = original("socket", "socket")

_N = TypeVar("_N", int, bytes)
_Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
_OVER = "the time is over"
_SHORTEST_SECONDS = 0.001  # 0 would mean not to wait at all
_current: ContextVar["RequestDeadline | None"] = ContextVar("runspan_request_deadline", default=None)
_until: ContextVar[float | None] = ContextVar("runspan_until", default=None)


@contextmanager
def ending_by(moment: float) -> Iterator[None]:
    """Have all requests of this thread end by a moment of ``time.monotonic``."""
    token = _until.set(moment)
    try:
        yield
    finally:
        _until.reset(token)


def seconds_for(timeout_seconds: float) -> float:
    """Return how long a request may take that has a timeout of its own."""
    until = _until.get()
    return timeout_seconds if until is None else max(min(timeout_seconds, until - time.monotonic()), _SHORTEST_SECONDS)


class RequestDeadline:
    """What bounds the sockets of one request."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._aborted = False
        self._socket: _Socket | None = None
        self._found: SimpleQueue[_Addresses | OSError] = SimpleQueue()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Bind the sockets that this thread uses."""
        self._has_connected = self._has_received = False
        self._socket = None
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._aborted or time.monotonic() >= self._until

    @property
    def was_stale(self) -> bool:
        """Whether a connection kept from before failed, and not a single byte was received."""
        return self._socket is not None and not (self._has_connected or self._has_received or self.is_over)

    def abort(self) -> None:
        """Make what waits fail; for another thread."""
        self._aborted = True
        self._found.put(TimeoutError(_OVER))
        if self._socket is not None:
            with suppress(OSError):  # not connected, or closed just now
                self._socket.shutdown(socket.SHUT_RDWR)

    def connect(self, host: str, port: int) -> "BoundedSocket":
        """Connect to the first address of a host that answers; the time is shared by those that are left to try."""
        self._has_connected = True
        addresses = self._look_up(host, port)
        failure = OSError(f"{host} has no address")
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            connecting = BoundedSocket(family, kind, protocol)
            try:
                connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.begin_step(connecting, 1 / (len(addresses) - tried))
                connecting.connect(address)
            except OSError as error:
                connecting.close()
                self._left()  # which fails if the time is over
                failure = error
            else:
                return connecting
        raise failure

    def begin_step(self, busy: _Socket, share: float = 1.0) -> None:
        """Give one operation of a socket what is left of the time, or a share of it."""
        self._socket = busy
        busy.settimeout(self._left() * share)

    def note_received(self) -> None:
        """Note that something was received."""
        self._has_received = True

    def _left(self) -> float:
        if self.is_over:
            raise TimeoutError(_OVER)
        return max(self._until - time.monotonic(), _SHORTEST_SECONDS)

    def _look_up(self, host: str, port: int) -> _Addresses:
        """Have a thread of its own look up a name: that takes no deadline, and half a minute if it doesn't work."""
        with suppress(socket.gaierror):  # it is a name, not an address
            return _addresses(host, port, flags=socket.AI_NUMERICHOST)
        look_up = partial(_look_up, host, port, self._found)
        try:
            start_thread(look_up)
        except RuntimeError:  # no more threads, or Python is exiting
            look_up()
        try:
            found = self._found.get(timeout=self._left())
        except Empty:
            raise TimeoutError(_OVER) from None
        if isinstance(found, OSError):
            raise found
        return found


def current_deadline() -> RequestDeadline | None:
    """Return that of the request that this thread is about."""
    return _current.get()


class BoundedSocket(_Socket):
    """A socket whose every step is bounded by the deadline of its thread."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:  # noqa: D102  the interface's
        _begin_step(self)
        return _received(super().recv(bufsize, flags))

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: D102  the same
        _begin_step(self)
        return _received(super().recv_into(buffer, nbytes, flags))

    def sendall(self, data: Any, flags: int = 0, /) -> None:  # noqa: D102  the same
        _begin_step(self)  # the timeout of a plain socket is for all the data
        super().sendall(data, flags)


def _look_up(host: str, port: int, found: "SimpleQueue[_Addresses | OSError]") -> None:
    try:
        found.put(_addresses(host, port))
    except OSError as error:
        found.put(error)


def _addresses(host: str, port: int, flags: int = 0) -> _Addresses:
    addresses: _Addresses = original("socket", "getaddrinfo")(host, port, type=socket.SOCK_STREAM, flags=flags)
    return addresses


def _begin_step(busy: _Socket) -> None:
    if (deadline := _current.get()) is not None:
        deadline.begin_step(busy)


def _received(received: _N) -> _N:
    if received and (deadline := _current.get()) is not None:
        deadline.note_received()
    return received
