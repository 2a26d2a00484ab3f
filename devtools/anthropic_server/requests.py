"""What clients send, and why the Messages API refuses it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field, PositiveInt, ValidationError

from devtools.anthropic_server.messages import Failure, Json

MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it came; header names are lower-case, the body is empty if it was no JSON object."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class _Block(BaseModel):
    type: str
    text: str = ""


class _Message(BaseModel):
    role: Literal["user", "assistant"]
    content: str | list[_Block]


class _CountTokens(BaseModel, strict=True):
    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    system: str | list[_Block] | None = None
    tools: list[dict[str, Any]] | None = None


class _CreateMessage(_CountTokens):
    max_tokens: PositiveInt
    stream: bool = False


_SHAPES: dict[str, type[_CountTokens]] = {MESSAGES: _CreateMessage, COUNT_TOKENS: _CountTokens}


def parse(raw: bytes) -> Json:
    """Read a JSON object; anything else counts as an empty one."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def refusal(request: ReceivedRequest, size_bytes: int, max_request_bytes: int) -> Failure | None:
    """Say what is wrong with a request, in the order in which the service looks."""
    if request.path not in _SHAPES:
        return Failure(404)
    if request.method != "POST":
        return Failure(405)
    if size_bytes > max_request_bytes:
        return Failure(413)
    return _bad_headers(request.headers) or _bad_body(_SHAPES[request.path], request.body)


def _bad_headers(headers: dict[str, str]) -> Failure | None:
    if not (headers.get("x-api-key") or headers.get("authorization")):
        return Failure(401, "x-api-key header is required")
    if "anthropic-version" not in headers:
        return Failure(400, "anthropic-version: header is required")
    return None


def _bad_body(shape: type[_CountTokens], content: Json) -> Failure | None:
    if not content:
        return Failure(400, "The request body is not a JSON object, or an empty one")
    try:
        body = shape.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        return Failure(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if all(message.role != "user" for message in body.messages):
        return Failure(400, 'messages: at least one message must use the "user" role')
    if not body.model.startswith("claude"):
        return Failure(404, f"model: {body.model}")
    return None
