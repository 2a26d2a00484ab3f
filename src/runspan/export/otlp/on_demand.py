"""Clients that are built when something is to be sent, so that a thousand endpoints need no thousand connections."""

import os
import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from itertools import count

from runspan._guard import attempt
from runspan._threads import RLock
from runspan.export.otlp.answers import Answer, Later
from runspan.export.otlp.client import CLOSED, Client
from runspan.export.request import Request
from runspan.export.workers import workers

MOST_IDLE_CLIENTS = 100


class OnDemandClient:
    """Build a client at the first request, and again after a fork or a long time without use.

    Two processes with one connection would mix up what they send. A client that is not in use is closed when a
    hundred others were used since, and when this object is garbage.

    Args:
        make: Builds a client.
    """

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._key = next(_keys)
        self._in_use: dict[int, Client] = {}  # by process; who takes it out decides what becomes of it
        self._closed = False
        weakref.finalize(self, _close_later, self._key).atexit = False

    def build(self) -> None:
        """Build the client now, so that a mistake in the environment is an error here."""
        _idle.put(self._key, self._make())

    def send(self, request: Request) -> Answer:
        """Send by this process's client; what keeps it from being built may be gone at the next try."""
        client = _idle.take(self._key) or attempt(self._built, default=_NOT_BUILT)
        if isinstance(client, Later):
            return client
        self._in_use[os.getpid()] = client
        try:
            return CLOSED if self._closed else client.send(request)
        finally:
            self._put_back()

    def close(self) -> None:
        """Close this process's client, also while it sends."""
        self._closed = True
        client = self._in_use.pop(os.getpid(), None) or _idle.take(self._key)
        if client is not None:
            client.close()

    def _built(self) -> Client | Later:
        if self._closed:
            return CLOSED
        try:
            with _building:
                return self._make()
        except (OSError, ValueError, RuntimeError) as error:  # what the environment names is missing or no good
            return Later(f"{type(error).__name__}: {error}")

    def _put_back(self) -> None:
        client = self._in_use.pop(os.getpid(), None)
        if client is None:  # close had it
            return
        if self._closed:
            client.close()
        else:
            _idle.put(self._key, client)


class _IdleClients:
    """The clients of this process that are built and not in use, the one used longest ago first.

    Each method is one step of an OrderedDict, which no other thread can interrupt.
    """

    def __init__(self) -> None:
        self._clients: OrderedDict[int, Client] = OrderedDict()
        self._inherited: list[OrderedDict[int, Client]] = []

    def start_afresh(self) -> None:
        """Keep the parent's clients, unused: to destroy a gRPC channel in a forked child is not safe."""
        self._inherited.append(self._clients)
        self._clients = OrderedDict()

    def has(self, key: int) -> bool:
        return key in self._clients

    def take(self, key: int) -> Client | None:
        return self._clients.pop(key, None)

    def put(self, key: int, client: Client) -> None:
        self._clients[key] = client
        if len(self._clients) > MOST_IDLE_CLIENTS:
            _, oldest = self._clients.popitem(last=False)
            attempt(oldest.close, default=None)

    def close(self, key: int) -> None:
        client = self.take(key)
        if client is not None:
            attempt(client.close, default=None)


_NOT_BUILT = Later("its client could not be built; the log of 'runspan' names why")
_keys = count()
_idle = _IdleClients()
# A fork in the middle of an import would leave the child with a module that is never complete.
_building = RLock()


def _close_later(key: int) -> None:
    """Close a client; not here, for a finalizer may run in the middle of anything."""
    if _idle.has(key):
        workers.call(partial(_idle.close, key))


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)
    os.register_at_fork(after_in_child=_idle.start_afresh)
