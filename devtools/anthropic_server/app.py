"""The Messages API as an ASGI application."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from devtools.anthropic_server.model import Script
from devtools.anthropic_server.replies import BrokenReply, Reply, accept, refuse, request_id
from devtools.anthropic_server.requests import ReceivedRequest, parse, refusal

COMMON_HEADERS = {
    "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
    # Unlike the service. ChatAnthropic keeps a pool of connections per base URL and never closes it: each server that
    # a test starts would leave a socket behind.
    "connection": "close",
}


class MessagesApi:
    """Answers requests by a script and keeps them.

    `hang_up` closes the connection of a client, by its address: ASGI has no means for that.
    """

    def __init__(self, script: Script, max_request_bytes: int, hang_up: Callable[[tuple[str, int]], None]) -> None:
        self.requests: list[ReceivedRequest] = []
        self.disconnects = 0
        self.stopping = False
        self._script = script
        self._max_request_bytes = max_request_bytes
        self._hang_up = hang_up
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        try:
            raw = await request.body()
        except ClientDisconnect:
            self._count_disconnect()
            return
        received = ReceivedRequest(request.method, request.url.path, dict(request.headers), parse(raw))
        self.requests.append(received)
        number = next(self._numbers)
        failure = refusal(received, len(raw), self._max_request_bytes)
        reply = refuse(failure, number) if failure else accept(self._script, received, number)
        await self._deliver(reply, {"request-id": request_id(number), **COMMON_HEADERS}, scope, receive, send)

    async def _deliver(self, reply: Reply, headers: dict[str, str], scope: Scope, receive: Receive, send: Send) -> None:
        """Send a reply until it is complete, breaks, or nobody is there any more."""
        sending = asyncio.create_task(_send(reply, headers, send))
        # After the body of the request, the next message that ASGI gives is `http.disconnect`.
        leaving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self._count_disconnect()
            elif not sending.result():
                self._hang_up(scope["client"])
                await leaving
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.wait((sending, leaving))

    def _count_disconnect(self) -> None:
        if not self.stopping:
            self.disconnects += 1


async def _send(reply: Reply, headers: dict[str, str], send: Send) -> bool:
    """Send a reply and return whether it was complete."""
    await asyncio.sleep(reply.delay_s)
    encoded = [(name.encode(), value.encode()) for name, value in (headers | reply.headers).items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    try:
        async with contextlib.aclosing(reply.chunks) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except BrokenReply:
        return False
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return True
