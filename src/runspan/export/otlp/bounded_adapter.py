"""A transport of ``requests`` whose connections keep to the ``Exchange`` of their thread."""

import socket
import ssl
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from runspan.export.otlp.exchange import TlsSocket, exchange_of_this_thread


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


def _tls_context() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.sslsocket_class = TlsSocket
    return context
