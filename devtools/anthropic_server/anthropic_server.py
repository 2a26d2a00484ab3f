"""A local server that speaks Anthropic's Messages API, for the demo and the tests."""

import asyncio
import contextvars
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from devtools.anthropic_server.app import MessagesApi
from devtools.anthropic_server.messages import Answer, Failure, ToolUse, Usage
from devtools.anthropic_server.model import Script, add, in_turn
from devtools.anthropic_server.requests import ReceivedRequest

__all__ = ["Answer", "AnthropicServer", "Failure", "ReceivedRequest", "Script", "ToolUse", "Usage"]


class AnthropicServer:
    """Serve the Messages API on a free port of the loopback interface, in a thread, for the length of a `with` block.

    Without `answers` it adds: `What is 1 + 2?` gets `1 + 2 = 3`. A sequence of answers is given out in turn. A callable
    gets the body of each request; it runs in the server's event loop, so it must not block (`delay_s` makes it slow).

        with AnthropicServer([Failure(529), Answer("3")]) as server:
            model = ChatAnthropic(model="claude-3-sonnet-20240229", base_url=server.url, api_key="test")
            model.invoke("What is 1 + 2?")
            assert [request.path for request in server.requests] == ["/v1/messages"] * 2
    """

    url: str

    def __init__(
        self, answers: Script | Iterable[Answer | Failure] = add, *, max_request_bytes: int = 32 * 2**20
    ) -> None:
        script = answers if callable(answers) else in_turn(answers)
        self._api = MessagesApi(script, max_request_bytes, self._hang_up)
        self._config = Config(
            self._api,
            ws="none",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            log_level="warning",
            access_log=False,
        )
        self._state = ServerState()

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests received so far, the refused ones too."""
        return self._api.requests

    @property
    def disconnects(self) -> int:
        """How many clients left before they had their whole answer."""
        return self._api.disconnects

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="AnthropicServer", daemon=True)
        self._thread.start()
        # The server would otherwise serve in a copy of the caller's context, current span included.
        contextvars.Context().run(asyncio.run_coroutine_threadsafe, self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # Uvicorn's protocol in a loop of our own: uvicorn.Server looks only ten times a second whether to stop, and waits
    # for the answers under way.

    async def _start(self) -> None:
        def protocol() -> H11Protocol:
            return H11Protocol(self._config, self._state, {})

        self._server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        self._server.close()
        self._api.stopping = True
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)

    def _hang_up(self, client: tuple[str, int]) -> None:
        for connection in list(self._state.connections):
            if isinstance(connection, H11Protocol) and connection.client == client:
                connection.transport.close()
