"""Connections that many targets share, and that keep to the deadline of each request."""

import os
import socket
import ssl
import sys
from collections.abc import Hashable
from queue import Full, LifoQueue
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

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


class BoundedAdapter(HTTPAdapter):
    """Makes connections that are bounded, and keeps some of them open; all share one TLS context."""

    def __init__(self, certificates: Certificates) -> None:
        super().__init__()
        self._tls = _tls_context(certificates, named_authority(certificates))
        self.init_poolmanager(_MOST_HOSTS, _MOST_IDLE, ssl_context=self._tls)
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
    # Underscored, yet what one overrides: urllib3's own connections through SOCKS do the same.
    def _new_conn(self) -> socket.socket:
        deadline = current_deadline.get()
        return super()._new_conn() if deadline is None else deadline.connect(self.host, self.port)


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


_contexts: WeakValueDictionary[Hashable, _TlsContext] = WeakValueDictionary()
_adapters: WeakValueDictionary[Hashable, BoundedAdapter] = WeakValueDictionary()
_inherited: list[BoundedAdapter] = []
_lock = fork_safe_lock()


def named_authority(certificates: Certificates) -> str | None:
    """Return the file to read for each connection, None for the usual authorities."""
    return certificates.authority or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


def adapter_for(certificates: Certificates, owner: object) -> BoundedAdapter:
    """Return the adapter for all who name the same certificates.

    Where gevent has replaced the locks of urllib3 each owner has one of its own: they don't work between threads.
    """
    key = (certificates, named_authority(certificates), id(owner) if is_patched() else None)
    with _lock:
        adapter = _adapters.get(key)
        if adapter is None:
            adapter = _adapters[key] = BoundedAdapter(certificates)
        return adapter


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


@in_forked_child
def _leave_to_parent() -> None:
    """Keep the parent's adapters, unused: a lock of theirs may be held by a thread that is not here."""
    _inherited.extend(_adapters.values())
    _adapters.clear()
