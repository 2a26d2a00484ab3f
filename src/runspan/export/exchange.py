"""A request and its answer over sockets, bounded in time as a whole, and broken off from another thread.

The timeouts of ``requests`` bound each step, so a receiver that sends a byte per second would hold a thread for hours.
"""

import socket
import ssl
import time
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_N = TypeVar("_N", int, bytes)
_current: ContextVar["Exchange | None"] = ContextVar("runspan_exchange", default=None)


class Exchange:
    """What the sockets of this thread do from now on, for so many seconds at most."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self.broken_off = False
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
        return time.monotonic() >= self._until

    @property
    def was_stale(self) -> bool:
        """Whether a connection kept from before failed before a single byte was received."""
        unheard = self._socket is not None and not (self._has_connected or self._has_received)
        return unheard and not (self.is_over or self.broken_off)

    def note_connecting(self) -> None:
        """Note that there was no connection to use."""
        self._has_connected = True

    def note_received(self) -> None:
        """Note that something was received."""
        self._has_received = True

    def break_off(self) -> None:
        """Make what waits for a socket fail; for another thread."""
        self.broken_off = True
        if self._socket is not None:
            with suppress(OSError):  # not connected, or closed just now
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # that of TLS would pull away its state

    def begin_step(self, busy: socket.socket, share: float = 1.0) -> None:
        """Give one operation of a socket what is left of the time, or a share of it."""
        self._socket = busy
        left = self._until - time.monotonic()
        if left <= 0 or self.broken_off:
            raise TimeoutError("the time is over")
        busy.settimeout(left * share)


class PlainSocket(socket.socket):
    """A socket whose every step is one of the exchange of its thread."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:  # noqa: D102  the interface's
        _begin_step(self)
        return _received(super().recv(bufsize, flags))

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:  # noqa: D102  the same
        _begin_step(self)
        return _received(super().recv_into(buffer, nbytes, flags))

    def sendall(self, data: "ReadableBuffer", flags: int = 0, /) -> None:  # noqa: D102  the same
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

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0) -> int:  # noqa: D102
        _begin_step(self)
        return _received(super().recv_into(buffer, nbytes, flags))

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:  # noqa: D102  the same; sendall makes many of these
        _begin_step(self)
        return super().send(data, flags)


def connect(host: str, port: int) -> PlainSocket:
    """Connect to the first address of a host that answers; the time is shared by those that are left to try."""
    exchange = _current.get()
    if exchange is not None:
        exchange.note_connecting()
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError(f"{host} has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        connecting = PlainSocket(family, kind, protocol)
        try:
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _begin_step(connecting, 1 / (len(addresses) - tried))
            connecting.connect(address)
        except OSError as error:
            connecting.close()
            failure = error
        else:
            return connecting
    raise failure


def _begin_step(busy: socket.socket, share: float = 1.0) -> None:
    exchange = _current.get()
    if exchange is not None:
        exchange.begin_step(busy, share)


def _received(received: _N) -> _N:
    exchange = _current.get()
    if exchange is not None and received:
        exchange.note_received()
    return received
