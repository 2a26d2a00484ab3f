"""What a model can answer, and how the Messages API writes it as JSON.

Field by field as in https://platform.claude.com/docs/en/api/messages and https://platform.claude.com/docs/en/api/errors.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

ERRORS = {
    400: ("invalid_request_error", "Invalid request"),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource"),
    404: ("not_found_error", "Not Found"),
    405: ("invalid_request_error", "Method Not Allowed"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit"),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}
RETRIED = {429, 500, 529}


@dataclass(frozen=True)
class Failure:
    """An error in place of an answer: `Failure(529)`, `Failure(429, retry_after_s=1)`.

    The status decides the error's type, and its message if none is given; a status not in ERRORS is an `api_error`.
    """

    status: int
    message: str = ""
    retry_after_s: float | None = None
    delay_s: float = 0

    def body(self, request_id: str) -> Json:
        """Return the body of the error response, which is the data of an `error` event too."""
        kind, message = ERRORS.get(self.status, ERRORS[500])
        return {"type": "error", "error": {"type": kind, "message": self.message or message}, "request_id": request_id}

    def headers(self) -> dict[str, str]:
        """Return the headers by which clients decide about a retry."""
        headers = {"x-should-retry": "true" if self.status in RETRIED else "false"}
        if self.retry_after_s is not None:
            headers["retry-after"] = f"{self.retry_after_s:g}"
        return headers


@dataclass(frozen=True)
class ToolUse:
    """A call of a tool that the model asks for; without an id it gets a counted one."""

    name: str
    input: Json = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True)
class Usage:
    """Token counts; as in the service, `input_tokens` are those that no cache was involved with."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int = 0
    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0
    thinking_tokens: int | None = None

    def json(self) -> Json:
        """Return the `usage` of a message."""
        cache_creation = {
            "ephemeral_5m_input_tokens": self.ephemeral_5m_input_tokens,
            "ephemeral_1h_input_tokens": self.ephemeral_1h_input_tokens,
        }
        details = {} if self.thinking_tokens is None else {"thinking_tokens": self.thinking_tokens}
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": sum(cache_creation.values()),
            "cache_read_input_tokens": self.cache_read_input_tokens,
            "cache_creation": cache_creation,
            "output_tokens": self.output_tokens,
            **({"output_tokens_details": details} if details else {}),
            "service_tier": "standard",
            "inference_geo": "global",
        }


@dataclass(frozen=True)
class Answer:
    """What the model says: `Answer("3")`, `Answer(tool_uses=[ToolUse("add", {"a": 1, "b": 2})])`.

    `stop_reason` is by default `tool_use` if there is one, else `end_turn`. Without `usage` the tokens are estimated.
    `delay_s` passes before the first byte, `chunk_delay_s` before each delta of a stream. With `breaks_after` a stream
    breaks after that many deltas: by an `error` event if `breaks_with` says which, else by closing the connection. An
    answer that is not streamed breaks too: the failure takes its place, or half of its body comes.
    """

    text: str = ""
    thinking: str = ""
    signature: str = "c2lnbmVkIGJ5IHJ1bnNwYW4="
    tool_uses: list[ToolUse] = field(default_factory=list)
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None
    delay_s: float = 0
    chunk_delay_s: float = 0
    breaks_after: int | None = None
    breaks_with: Failure | None = None

    def message(self, number: int, model: str, usage: Usage) -> Json:
        """Return the answer to request `number` as the service sends it when it does not stream."""
        return {
            "model": model,
            "id": f"msg_{number:024}",
            "type": "message",
            "role": "assistant",
            "content": self._content(number),
            "stop_reason": self.stop_reason or ("tool_use" if self.tool_uses else "end_turn"),
            "stop_sequence": self.stop_sequence,
            "stop_details": None,
            "usage": usage.json(),
        }

    def _content(self, number: int) -> list[Json]:
        thinking = {"type": "thinking", "thinking": self.thinking, "signature": self.signature}
        text = {"type": "text", "text": self.text}
        tool_uses = [
            {"type": "tool_use", "id": use.id or f"toolu_{number:020}{place:04}", "name": use.name, "input": use.input}
            for place, use in enumerate(self.tool_uses)
        ]
        return [*([thinking] if self.thinking else []), *([text] if self.text else []), *tool_uses]
