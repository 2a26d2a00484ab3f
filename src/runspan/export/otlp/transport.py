"""Connections that keep to a deadline for all of a request, and that many targets share."""

import os
import socket
import ssl
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from queue import Full, LifoQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssltransport import SSLTransport

from runspan._forking import in_forked_child
from runspan._guard import attempt
from runspan._threads import Empty, SimpleQueue, is_patched, original, start_thread
from runspan.export.otlp.credentials import Certificates, building

if TYPE_CHECKING:
    from ssl import SSLContext

    Socket = socket.socket
else:
    Socket = original("socket", "socket")
    SSLContext = original("ssl", "SSLContext")

_T = TypeVar("_T")
_Addresses = list[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
_OVER: Final = "the time is over"
_SHORTEST_SECONDS: Final = 0.001  # 0 would mean not to wait at all
_SETTINGS: Final = vars(SSLContext.__base__)
_MOST_HOSTS: Final = 100
_MOST_IDLE: Final = 16  # connections to a host
_current: Final[ContextVar["RequestDeadline | None"]] = ContextVar("runspan_request_deadline", default=None)


class RequestDeadline:
    """What bounds the sockets of one attempt at a request, at each of their steps."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._aborted = False
        self.is_alive = False
        """Whether its connection was made just now, or something was received."""
        self._socket: Socket | None = None
        self._found: SimpleQueue[_Addresses | Exception] = SimpleQueue()

    @contextmanager
    def bounds(self) -> Iterator[None]:
        """Bound the sockets that this thread uses."""
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

    def begin_step(self, busy: Socket, share: float = 1.0) -> None:
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

        def look_up() -> None:  # the application may have put a function of its own there
            found.put(attempt(_addresses_of, host, port, default=OSError(f"the look-up of {host} failed")))

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


def _addresses_of(host: str, port: int) -> _Addresses | Exception:
    try:
        return original("socket", "getaddrinfo")(host, port, type=socket.SOCK_STREAM)  # type: ignore[no-any-return]  # no types
    except (OSError, UnicodeError) as error:
        return error


def _bounded(step: Callable[..., _T]) -> Callable[..., _T]:
    def take(bounded: "BoundedSocket", *arguments: Any) -> _T:
        deadline = _current.get()
        if deadline is None:
            return step(bounded, *arguments)
        deadline.begin_step(bounded)
        result = step(bounded, *arguments)
        deadline.is_alive = deadline.is_alive or bool(result)
        return result

    return take


def _send(to: Socket, data: Any) -> None:
    """Send all; a receiver that takes no more may have answered, or say why in TLS, which is yet to be read."""
    with suppress(BrokenPipeError, ConnectionResetError):  # urllib3 does so, but not where it speaks TLS
        Socket.sendall(to, data)  # the timeout of a plain socket is for all the data


class BoundedSocket(Socket):
    """A socket whose every step is bounded by the deadline of its thread."""

    recv, recv_into, sendall = _bounded(Socket.recv), _bounded(Socket.recv_into), _bounded(_send)


class BoundedAdapter(HTTPAdapter):
    """Makes connections that are bounded, and keeps some of them open; all share one TLS context."""

    def __init__(self, certificates: Certificates) -> None:
        super().__init__()
        self._authority = named_authority(certificates)
        self._tls = _tls_context(certificates, self._authority)
        self.init_poolmanager(_MOST_HOSTS, _MOST_IDLE, ssl_context=self._tls)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        """Set up the way through a proxy; one through SOCKS has connections of its own."""
        if proxy.lower().startswith("socks"):
            return super().proxy_manager_for(proxy, **keywords)
        if self._authority and proxy not in self.proxy_manager:  # urllib3 reads it for the receiver alone
            where = "capath" if Path(self._authority).is_dir() else "cafile"
            self._tls.load_verify_locations(**{where: self._authority})
        manager = super().proxy_manager_for(proxy, ssl_context=self._tls, proxy_ssl_context=self._tls, **keywords)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave it to the context, which has the usual authorities; for each connection to read them costs 20 ms."""


class _Connection(HTTPConnection):
    # Underscored, yet what one overrides: urllib3's own connections through SOCKS do the same.
    def _new_conn(self) -> socket.socket:  # the percent sign before the zone of an address stands coded in a URL
        deadline = _current.get()
        return super()._new_conn() if deadline is None else deadline.connect(self.host.replace("%25", "%"), self.port)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _IdleConnections(LifoQueue[Any]):
    """Closes a connection for which there is no room; urllib3 would log each."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002
        try:
            super().put(item, block=False)
        except Full:
            item.close()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
    QueueCls = _IdleConnections


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Final = {"http": _Pool, "https": _TlsPool}


class _TlsSocket(SSLTransport):
    """May have another one around it, through a proxy that is reached by TLS."""

    _io_refs = 0  # where urllib3 counts the files of what it is around


class _TlsContext(SSLContext):
    """Has TLS spoken over bounded sockets as they are.

    Python's own TLS socket, and the setters of its context, find their own classes by names that gevent replaces.
    """

    def wrap_socket(self, sock: Any, *_: Any, server_hostname: Any = None, **__: Any) -> Any:
        return _TlsSocket(sock, self, server_hostname)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTINGS:
            _SETTINGS[name].__set__(self, value)
        else:
            super().__setattr__(name, value)


_contexts: WeakValueDictionary[Hashable, _TlsContext] = WeakValueDictionary()
_adapters: WeakValueDictionary[Hashable, BoundedAdapter] = WeakValueDictionary()
_inherited: list[BoundedAdapter] = []


def named_authority(certificates: Certificates) -> str | None:
    """Return the file to read for each connection, None for the usual authorities."""
    return certificates.authority or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


def adapter_for(certificates: Certificates, owner: object) -> BoundedAdapter:
    """Return the adapter for all who name the same certificates.

    Where gevent has replaced the locks of urllib3 each owner has one of its own: they don't work between threads.
    """
    key = (certificates, named_authority(certificates), id(owner) if is_patched() else None)
    with building:
        adapter = _adapters.get(key)
        if adapter is None:
            adapter = _adapters[key] = BoundedAdapter(certificates)
        return adapter


def _tls_context(*trusted: Hashable) -> _TlsContext:
    """Return a context with what urllib3 sets beside Python's defaults; one for who trust the same: it has 0.7 MB."""
    with building:
        context = _contexts.get(trusted)
        if context is None:
            context = _contexts[trusted] = _TlsContext(ssl.PROTOCOL_TLS_CLIENT)
            context.post_handshake_auth = True
            context.hostname_checks_common_name = False
            if sys.version_info >= (3, 13):
                context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
            if trusted[-1] is None:
                context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        return context


@in_forked_child
def _leave_to_parent() -> None:
    """Keep the parent's adapters, unused: a lock of theirs may be held by a thread that is not here."""
    _inherited.extend(_adapters.values())
    _adapters.clear()
