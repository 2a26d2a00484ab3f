from typing import Final, Protocol

from runspan.export.otlp.answers import Answer, Later
from runspan.export.request import Request

CLOSED: Final = Later("closed")


class Client(Protocol):
    """Sends encoded requests to one receiver; one thread at a time sends."""

    def send(self, request: Request) -> Answer:
        """Try once, within the timeout of the target in all; raises nothing that a network or a receiver can cause."""

    def close(self) -> None:
        """Let go of all connections without waiting; a ``send`` in another thread ends soon, with ``CLOSED``."""
