"""Sessions of ``requests`` that many targets share: their connections keep to the deadline of each request."""

import os
import socket
import ssl
import sys
from collections.abc import Hashable
from http.cookiejar import DefaultCookiePolicy
from queue import Full, LifoQueue
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssltransport import SSLTransport

from runspan._forking import fork_safe_lock, in_forked_child
from runspan._threads import is_patched, original
from runspan.export.otlp.credentials import Certificates
from runspan.export.otlp.deadline import current_deadline

if TYPE_CHECKING:
    from ssl import SSLContext
else:
    SSLContext = original("ssl", "SSLContext")

_SETTINGS: Final = vars(SSLContext.__base__)
_MOST_HOSTS: Final = 100
_MOST_IDLE: Final = 16  # connections to a host


class Session(requests.Session):
    """Follows no redirects, keeps no cookies, which would be one tenant's, and authenticates nobody."""

    def __init__(self, adapter: HTTPAdapter) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.mount(scheme, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002  they are not even looked at
        """Return none."""
        return


class BoundedAdapter(HTTPAdapter):
    """Makes connections that are bounded, and keeps some of them open; all share one TLS context."""

    def __init__(self, certificates: Certificates) -> None:
        self._tls = _tls_context(certificates, _named_authority(certificates))
        super().__init__(pool_connections=_MOST_HOSTS, pool_maxsize=_MOST_IDLE)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **keywords: Any) -> None:
        """Set up the way to receivers."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._tls, **keywords)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        """Set up the way through a proxy; one through SOCKS has connections of its own."""
        if proxy.lower().startswith("socks"):
            return super().proxy_manager_for(proxy, **keywords)
        manager = super().proxy_manager_for(proxy, ssl_context=self._tls, proxy_ssl_context=self._tls, **keywords)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave it to the context, which has the usual authorities; for each connection to read them costs 20 ms."""


class _Connection(HTTPConnection):
    # Underscored, yet the place for it: urllib3's own connections through SOCKS do the same.
    def _new_conn(self) -> socket.socket:
        deadline = current_deadline()
        return super()._new_conn() if deadline is None else deadline.connect(self.host, self.port)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        deadline = current_deadline()
        return super()._new_conn() if deadline is None else deadline.connect(self.host, self.port)


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


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
    QueueCls = _IdleConnections


_POOLS: Final = {"http": _Pool, "https": _TlsPool}


class _TlsContext(SSLContext):
    """Has TLS spoken over bounded sockets as they are.

    Python's own TLS socket, and the setters of its context, find their own classes by names that gevent replaces.
    """

    def wrap_socket(self, sock: Any, *_: Any, server_hostname: Any = None, **__: Any) -> Any:
        return SSLTransport(sock, self, server_hostname)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTINGS:
            _SETTINGS[name].__set__(self, value)
        else:
            super().__setattr__(name, value)


def _named_authority(certificates: Certificates) -> str | None:
    """Return the file that ``requests`` reads for each connection, None for the usual authorities."""
    return certificates.authority or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


_contexts: WeakValueDictionary[Hashable, _TlsContext] = WeakValueDictionary()
_sessions: WeakValueDictionary[Hashable, Session] = WeakValueDictionary()
_inherited: list[Session] = []
_lock = fork_safe_lock()


def _tls_context(*trusted: Hashable) -> _TlsContext:
    """Return a context with what urllib3 sets beside Python's defaults; one for who trust the same: it has 0.7 MB."""
    with _lock:
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


def session_for(certificates: Certificates, owner: object) -> Session:
    """Return the session for all who name the same certificates.

    Where gevent has replaced the locks of urllib3 each owner has one of its own: they don't work between threads.
    """
    key = (certificates, _named_authority(certificates), id(owner) if is_patched() else None)
    with _lock:
        session = _sessions.get(key)
        if session is None:
            session = _sessions[key] = Session(BoundedAdapter(certificates))
        return session


@in_forked_child
def _leave_to_parent() -> None:
    """Keep the parent's sessions, unused: a lock of theirs may be held by a thread that is not here."""
    _inherited.extend(_sessions.values())
    _sessions.clear()
