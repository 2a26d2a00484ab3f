"""A request and its answer over sockets, bounded in time as a whole, and broken off from another thread.

The timeouts of ``requests`` bound each step, so a receiver that sends a byte per second would hold a thread for hours.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Self, TypeVar

_N = TypeVar("_N", int, bytes)
_Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
_OVER = "the time is over"
_SHORTEST_SECONDS = 0.001  # 0 would mean not to wait at all
_current: ContextVar["Exchange | None"] = ContextVar("runspan_exchange", default=None)


class Exchange:
    """What the sockets of this thread do from now on, for so many seconds at most."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._broken_off = False
        self._socket: socket.socket | None = None
        self._found: queue.SimpleQueue[_Addresses | OSError] = queue.SimpleQueue()
        self._has_connected = False
        self._has_received = False

    def __enter__(self) -> Self:
        """Bind the sockets of this thread."""
        self._token: Token[Exchange | None] = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of them."""
        _current.reset(self._token)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._broken_off or time.monotonic() >= self._until

    @property
    def was_stale(self) -> bool:
        """Whether a connection kept from before failed, and not a single byte was received."""
        return self._socket is not None and not (self._has_connected or self._has_received or self.is_over)

    def break_off(self) -> None:
        """Make what waits fail; for another thread."""
        self._broken_off = True
        self._found.put(TimeoutError(_OVER))
        if self._socket is not None:
            with suppress(OSError):  # not connected, or closed just now
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # that of TLS would pull away its state

    def connect(self, host: str, port: int) -> "PlainSocket":
        """Connect to the first address of a host that answers; the time is shared by those that are left to try."""
        self._has_connected = True
        addresses = self._look_up(host, port)
        failure = OSError(f"{host} has no address")
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            connecting = PlainSocket(family, kind, protocol)
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

    def begin_step(self, busy: socket.socket, share: float = 1.0) -> None:
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
        try:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:  # not an address
            pass
        try:
            threading.Thread(target=_look_up, args=(host, port, self._found), daemon=True).start()
        except RuntimeError:  # no more threads, or Python is exiting
            _look_up(host, port, self._found)
        try:
            found = self._found.get(timeout=self._left())
        except queue.Empty:
            raise TimeoutError(_OVER) from None
        if isinstance(found, OSError):
            raise found
        return found


def exchange_of_this_thread() -> Exchange | None:
    """Return the one in which this thread is."""
    return _current.get()


class PlainSocket(socket.socket):
    """A socket whose every step is one of the exchange of its thread."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:  # noqa: D102  the interface's
        _begin_step(self)
        return _received(super().recv(bufsize, flags))

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: D102  the same
        _begin_step(self)
        return _received(super().recv_into(buffer, nbytes, flags))

    def sendall(self, data: Any, flags: int = 0, /) -> None:  # noqa: D102  the same
        _begin_step(self)  # the timeout of a plain socket is for all the data
        super().sendall(data, flags)


class TlsSocket(ssl.SSLSocket):
    """The same with TLS, made by a context whose ``sslsocket_class`` it is."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: D102  the interface's
        _begin_step(self)
        super().do_handshake(block)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:  # noqa: D102  the same
        _begin_step(self)
        return _received(super().recv(buflen, flags))

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:  # noqa: D102
        _begin_step(self)
        return _received(super().recv_into(buffer, nbytes, flags))

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: D102  the same; sendall makes many of these
        _begin_step(self)
        return super().send(data, flags)


def _look_up(host: str, port: int, found: "queue.SimpleQueue[_Addresses | OSError]") -> None:
    try:
        found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        found.put(error)


def _begin_step(busy: socket.socket) -> None:
    exchange = _current.get()
    if exchange is not None:
        exchange.begin_step(busy)


def _received(received: _N) -> _N:
    exchange = _current.get()
    if exchange is not None and received:
        exchange.note_received()
    return received
