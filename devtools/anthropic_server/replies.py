"""From a request to the bytes of its reply."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import orjson

from devtools.anthropic_server.events import encode, events
from devtools.anthropic_server.messages import Answer, Failure, Json
from devtools.anthropic_server.model import Script, count_request, estimate
from devtools.anthropic_server.requests import COUNT_TOKENS, ReceivedRequest


class BrokenReply(Exception):  # noqa: N818  the script asks for it
    """Raised by `chunks` where the connection is to be closed."""


@dataclass(frozen=True)
class Reply:
    """A response; `delay_s` passes before its first byte."""

    status: int
    headers: dict[str, str]
    chunks: AsyncGenerator[bytes]
    delay_s: float


def accept(script: Script, request: ReceivedRequest, number: int) -> Reply:
    """Answer request `number` of this server, which is known to be well-formed."""
    body = request.body
    if request.path == COUNT_TOKENS:
        return _json(200, {"input_tokens": count_request(body)})
    answer = script(body)
    if isinstance(answer, Failure):
        return refuse(answer, number)
    message = answer.message(number, body["model"], answer.usage or estimate(body, answer))
    if body.get("stream"):
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        return Reply(200, headers, _stream(answer, message, number), answer.delay_s)
    breaks = answer.breaks_after is not None
    if breaks and answer.breaks_with:
        return refuse(answer.breaks_with, number)
    return _json(200, message, delay_s=answer.delay_s, breaks=breaks)


def refuse(failure: Failure, number: int) -> Reply:
    """Answer request `number` with an error."""
    return _json(failure.status, failure.body(request_id(number)), failure.headers(), failure.delay_s)


def request_id(number: int) -> str:
    """Name request `number`; the ids have the length of real ones and are the same in each run."""
    return f"req_{number:024}"


def _json(
    status: int, body: Json, headers: dict[str, str] | None = None, delay_s: float = 0, *, breaks: bool = False
) -> Reply:
    content = orjson.dumps(body)
    described = {"content-type": "application/json", "content-length": str(len(content)), **(headers or {})}
    return Reply(status, described, _half(content) if breaks else _whole(content), delay_s)


async def _whole(content: bytes) -> AsyncGenerator[bytes]:
    yield content


async def _half(content: bytes) -> AsyncGenerator[bytes]:
    yield content[: len(content) // 2]
    raise BrokenReply


async def _stream(answer: Answer, message: Json, number: int) -> AsyncGenerator[bytes]:
    deltas = 0
    for event in events(message):
        if event["type"] == "content_block_delta":
            if deltas == answer.breaks_after:
                if answer.breaks_with is None:
                    raise BrokenReply
                yield encode(answer.breaks_with.body(request_id(number)))
                return
            deltas += 1
            await asyncio.sleep(answer.chunk_delay_s)
        yield encode(event)
