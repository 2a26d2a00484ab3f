"""Messages of LangChain that need not be read part by part, as most need not: a text, calls of tools, their results.

The walk through what ``message_dict`` makes of one comes to the same JSON and executes six to twelve times as much:
110,000 bytecodes for 80 texts, not 9,000. That counts, as a conversation is written again with each call of its model.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk

from runspan.payload.blobs import SHORTEST_BLOB, may_hold_blobs
from runspan.payload.flat import flat_copy, plain_json
from runspan.payload.message_types import MessagePart
from runspan.payload.redacting import Redact
from runspan.payload.text import LONGEST_NAME, clean

# What stands before the text of a message that has no more: to join it takes half as long as a dictionary for each.
_BEFORE_TEXT: Final[dict[type, bytes]] = {
    HumanMessage: b'{"role":"user","parts":[{"type":"text","content":',
    SystemMessage: b'{"role":"system","parts":[{"type":"text","content":',
}
_AFTER_TEXT: Final = b"}]}"
_ROLES: Final[dict[type, str]] = {
    AIMessage: "assistant",
    AIMessageChunk: "assistant",
    HumanMessage: "user",
    SystemMessage: "system",
    ToolMessage: "tool",
}
_GENERATIONS: Final = (ChatGeneration, ChatGenerationChunk)
_MOST_CALLS: Final = 20
_LONGEST: Final = 20_000  # characters; a longer text may well be cut, so it is not written beforehand


def plain_messages(messages: Iterable[object], redact: Redact | None = None) -> list[bytes | None]:
    """Return the JSON of each such message in the conventions' form, None of others. No code of a message runs.

    Args:
        messages: any values.
        redact: is called with their texts; only messages of a text alone are such, if there is one.
    """
    written: list[bytes | None] = []
    for message in messages:
        # Most are texts of a user, which are written here, as a call for each would take half as long again.
        before = _BEFORE_TEXT.get(type(message))
        if before is None:
            written.append(plain_json(_message(message, redact)))
            continue
        fields = message.__dict__
        text = fields.get("content")
        if type(text) is not str or not text or fields.get("name") is not None or len(text) > _LONGEST:
            written.append(plain_json(_message(message, redact)))
        elif may_hold_blobs(text):
            written.append(None)
        else:
            try:
                kept = text if redact is None else redact(clean(text))
                written.append(before + orjson.dumps(kept) + _AFTER_TEXT)
            except orjson.JSONEncodeError:
                written.append(None)
    return written


def plain_answers(answers: Sequence[tuple[object, str]], redact: Redact | None = None) -> list[bytes | None]:
    """Return the same of generations of a model, each with the reason why it ended."""
    if redact is not None:
        return [None] * len(answers)
    return [plain_json(_answered(generation, reason)) for generation, reason in answers]


def _answered(generation: object, reason: str) -> dict[str, Any] | None:
    made = _message(generation.__dict__.get("message"), None) if type(generation) in _GENERATIONS else None
    if made is None or not _is_word(reason):
        return None
    made["finish_reason"] = reason
    return made


def _message(message: Any, redact: Redact | None) -> dict[str, Any] | None:
    role = _ROLES.get(type(message))
    if role is None:
        return None
    fields = message.__dict__
    text, name = fields.get("content"), fields.get("name")
    if type(text) is not str or len(text) > _LONGEST or may_hold_blobs(text):
        return None
    texts: list[MessagePart] = [{"type": "text", "content": text}] if text else []
    parts: list[MessagePart] | None = texts
    if role == "assistant":
        parts = _answer(fields, texts)
    elif role == "tool":
        parts = _result(fields, text)
    if parts is None or not (name is None or _is_word(name)):
        return None
    if redact is not None:
        if name is not None or parts is not texts:
            return None
        texts = [{"type": "text", "content": redact(clean(part["content"]))} for part in texts]
        return {"role": role, "parts": texts}
    return {"role": role, "parts": parts} if name is None else {"role": role, "name": name, "parts": parts}


def _answer(fields: dict[str, Any], texts: list[MessagePart]) -> list[MessagePart] | None:
    """Return the parts of a model's message, texts and calls; None if it has others."""
    calls, invalid, beside = map(fields.get, ("tool_calls", "invalid_tool_calls", "additional_kwargs"))
    if type(calls) is not list or type(invalid) is not list or invalid or not _is_nothing(beside):
        return None
    if not calls:
        return texts
    parts = [part for call in calls[:_MOST_CALLS] if (part := _call(call)) is not None]
    return texts + parts if len(parts) == len(calls) else None


def _call(call: Any) -> MessagePart | None:
    if type(call) is not dict:
        return None
    call_id, name, given = map(call.get, ("id", "name", "args"))
    arguments = flat_copy(given, _LONGEST) if type(given) is dict else None
    if arguments is None or not _is_word(call_id) or not _is_word(name):
        return None
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def _result(fields: dict[str, Any], text: str) -> list[MessagePart] | None:
    call_id = fields.get("tool_call_id")
    return [{"type": "tool_call_response", "id": call_id, "response": text}] if _is_word(call_id) else None


def _is_nothing(beside: object) -> bool:
    """Return whether nothing is beside the content; OpenAI's package says of each answer that it is no refusal."""
    if type(beside) is not dict:
        return False
    return not beside or (len(beside) == 1 and beside.get("refusal", beside) is None)


def _is_word(value: object) -> bool:
    """Return whether a value is a short text and no medium."""
    if type(value) is not str or not value:
        return False
    return len(value) < SHORTEST_BLOB or (len(value) <= LONGEST_NAME and not may_hold_blobs(value))
