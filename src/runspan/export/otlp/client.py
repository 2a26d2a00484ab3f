"""Clients that are built when something is to be sent, so that a thousand endpoints need no thousand connections."""

import os
from collections.abc import Callable
from typing import Final, Protocol

from runspan._guard import attempt
from runspan._threads import is_patched
from runspan.export.encoding.requests import Request
from runspan.export.otlp.credentials import building
from runspan.export.otlp.result import CLOSED, Result, Retryable
from runspan.export.otlp.target import GRPC, OtlpTarget

_NOT_BUILT: Final = Retryable("its client could not be built; the log of 'runspan' names why")


class Client(Protocol):
    """Sends encoded requests to one receiver; one thread at a time sends."""

    def send(self, request: Request) -> Result:
        """Try once, within the timeout of the target in all; raises nothing that a network or a receiver can cause."""

    def close(self) -> None:
        """Let go of all connections without waiting; a ``send`` in another thread ends soon, with ``CLOSED``."""


def import_early(target: OtlpTarget) -> None:
    """Import what can't be imported any more when Python exits: gRPC, whose import starts threads.

    And where gevent has patched imports, what another thread would import beside the application.
    """
    if target.protocol == GRPC or is_patched():
        _client_class(target)


def make_client(target: OtlpTarget) -> Client:
    """Build a client; imports what its protocol needs and reads the files.

    Raises:
        ValueError: if a certificate or the credential provider can't be used.
    """
    return _client_class(target)(target)


def _client_class(target: OtlpTarget) -> Callable[[OtlpTarget], Client]:
    if target.protocol == GRPC:
        from runspan.export.otlp.grpc import GrpcClient  # noqa: PLC0415  only who sends pays for it

        return GrpcClient
    from runspan.export.otlp.http import HttpClient  # noqa: PLC0415  the same

    return HttpClient


class OnDemandClient:
    """Builds a client at the first request, and a new one in a forked child: two processes can't share a connection."""

    def __init__(self, target: OtlpTarget) -> None:
        self._target = target
        self._closed = False
        self._clients: dict[int, Client] = {}  # by process; a parent's stays, for to destroy it here is not safe

    def build(self) -> Client:
        """Build the client, if that is still to be done; a ``ValueError`` says that the environment has a mistake."""
        client = self._clients.get(os.getpid())
        if client is None:
            with building:
                client = self._clients[os.getpid()] = make_client(self._target)
        return client

    def send(self, request: Request) -> Result:
        """Try once; what keeps the client from being built may be gone at the next attempt."""
        client = CLOSED if self._closed else attempt(self._built, default=_NOT_BUILT)
        if isinstance(client, Retryable):
            return client
        if self._closed:  # while it was built
            client.close()
            return CLOSED
        return client.send(request)

    def close(self) -> None:
        """Close this process's client, also while it sends; a second call does nothing."""
        was_closed, self._closed = self._closed, True
        client = self._clients.get(os.getpid())
        if client is not None and not was_closed:
            client.close()

    def _built(self) -> Client | Retryable:
        try:
            return self.build()
        except (OSError, ValueError, RuntimeError) as error:  # what the environment names is missing or no good
            return Retryable(f"{type(error).__name__}: {error}")
