"""A transport of ``requests`` whose connections keep to the ``Exchange`` of their thread."""

import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any, Final

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssltransport import SSLTransport

from runspan._threads import original
from runspan.export.otlp.exchange import exchange_of_this_thread

if TYPE_CHECKING:
    from ssl import SSLContext
else:
    SSLContext = original("ssl", "SSLContext")

_SETTINGS: Final = vars(SSLContext.__base__)


class BoundedAdapter(HTTPAdapter):
    """Makes such connections and keeps one open."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **keywords: Any) -> None:
        """Set up the way to receivers."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=_tls_context(), **keywords)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        """Set up the way through a proxy; one through SOCKS has connections of its own."""
        if proxy.lower().startswith("socks"):
            return super().proxy_manager_for(proxy, **keywords)
        if proxy not in self.proxy_manager:
            keywords |= {"ssl_context": _tls_context(), "proxy_ssl_context": _tls_context()}
        manager = super().proxy_manager_for(proxy, **keywords)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Connection(HTTPConnection):
    # Underscored, yet the place for it: urllib3's own connections through SOCKS do the same.
    def _new_conn(self) -> socket.socket:
        exchange = exchange_of_this_thread()
        return super()._new_conn() if exchange is None else exchange.connect(self.host, self.port)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        exchange = exchange_of_this_thread()
        return super()._new_conn() if exchange is None else exchange.connect(self.host, self.port)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _TlsContext(SSLContext):
    """Has TLS spoken over the sockets of an exchange as they are.

    Python's own TLS socket, and the setters of its context, find their own classes by names that gevent replaces.
    """

    def wrap_socket(self, sock: Any, *_: Any, server_hostname: Any = None, **__: Any) -> Any:
        return SSLTransport(sock, self, server_hostname)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTINGS:
            _SETTINGS[name].__set__(self, value)
        else:
            super().__setattr__(name, value)


def _tls_context() -> _TlsContext:
    """Return a context with what urllib3 sets and is no default of Python's."""
    context = _TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.post_handshake_auth = True
    context.hostname_checks_common_name = False
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context
