"""What sends requests, made when there is something to send: a thousand endpoints need no thousand connections."""

from collections.abc import Callable
from typing import Protocol

from runspan._threads import is_patched
from runspan.export.encoding.requests import Request
from runspan.export.otlp.credentials import building
from runspan.export.otlp.result import Result
from runspan.export.otlp.target import GRPC, OtlpTarget


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
    with building:
        client_class = _client_class(target)
    return client_class(target)  # a credential provider may take its time, which is nobody else's


def _client_class(target: OtlpTarget) -> Callable[[OtlpTarget], Client]:
    if target.protocol == GRPC:
        from runspan.export.otlp.grpc import GrpcClient  # noqa: PLC0415  only who sends pays for it

        return GrpcClient
    from runspan.export.otlp.http import HttpClient  # noqa: PLC0415  the same

    return HttpClient
