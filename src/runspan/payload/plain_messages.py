"""Messages of LangChain that need not be read part by part, as most need not: a text, calls of tools, their results.

The walk through what ``message_dict`` makes of one comes to the same JSON and executes six to twelve times as much:
110,000 bytecodes for 80 texts, not 9,000. That counts, as a conversation is written again with each call of its model.
"""

from contextlib import suppress
from typing import Any, Final

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk

from runspan.payload.blobs import BEGINNINGS, SEARCHED, SHORTEST_BLOB, may_be_near_blobs, may_hold_blobs
from runspan.payload.flat import flat_copy, plain_json
from runspan.payload.items import LEAST_FOR_ITEM
from runspan.payload.message_types import MessagePart
from runspan.payload.redacting import Redact
from runspan.payload.text import LONGEST_NAME, clean

_ROLES: Final[dict[type, str]] = {
    AIMessage: "assistant",
    AIMessageChunk: "assistant",
    HumanMessage: "user",
    SystemMessage: "system",
    ToolMessage: "tool",
}
# What stands before and after the text of a message that has no more.
_BEFORE_ANSWER: Final = b'{"role":"assistant","parts":[{"type":"text","content":"'
_BEFORE_TEXT: Final[dict[type, bytes]] = {
    AIMessage: _BEFORE_ANSWER,
    AIMessageChunk: _BEFORE_ANSWER,
    HumanMessage: b'{"role":"user","parts":[{"type":"text","content":"',
    SystemMessage: b'{"role":"system","parts":[{"type":"text","content":"',
}
_AFTER_TEXT: Final = b'"}]}'
_LEAST: Final = min(map(len, _BEFORE_TEXT.values())) + len(_AFTER_TEXT) + 1  # bytes, with a comma
_NEXT: Final = _AFTER_TEXT + b',{"role":'
# Characters that JSON leaves as they are; one that no text has stands for what is between two of them.
_MARKS: Final = "\x7f^~|`@#$&%"
_LONGEST_IN_JSON: Final = 6  # bytes that a character may take; as many times a message's least is more than its name
_QUOTES: Final = b'""'
_NO_PARTS: Final[list[MessagePart]] = []
_GENERATIONS: Final = (ChatGeneration, ChatGenerationChunk)
_MOST_CALLS: Final = 20
_LONGEST: Final = 20_000  # characters; a longer text may well be cut, so it is not written beforehand


def plain_message(message: object, redact: Redact | None = None) -> bytes | None:
    """Return the JSON of such a message in the conventions' form, None of any other value. No code of a message runs.

    Args:
        message: any value.
        redact: is called with its text; only a message of a text alone is such, if there is one.
    """
    before = _BEFORE_TEXT.get(type(message))
    if before is None or before is _BEFORE_ANSWER or redact is not None:
        return plain_json(_message(message, redact))
    fields = message.__dict__
    text = fields.get("content")
    if (
        type(text) is not str
        or not text
        or fields.get("name") is not None
        or len(text) > _LONGEST
        or may_hold_blobs(text)
    ):
        return plain_json(_message(message, redact))
    return b"%b%b%b" % (before, _quoted(text)[1:-1], _AFTER_TEXT)


def plain_answer(answer: tuple[object, str], redact: Redact | None = None) -> bytes | None:
    """Return the same of a generation of a model with the reason why it ended."""
    return plain_json(_answered(*answer)) if redact is None else None


def plain_texts(messages: list[Any], end: int, room: int) -> tuple[bytes, int]:
    """Return the JSON of the last messages before an index, as far as they are texts alone, and how many it has.

    All at once take a third of what they take one by one. The first of all messages is not among them, nor is one that
    may have to be cut.

    Args:
        messages: any values.
        end: the index.
        room: in bytes.
    """
    room = min(room, SEARCHED)  # all of them are looked at for media as one text
    befores, texts = _last_texts(messages, end, room)
    joined = "".join(texts)
    if may_be_near_blobs(joined):
        count = next((index for index, text in enumerate(texts) if may_hold_blobs(text)), len(texts))
        befores, texts, joined = befores[:count], texts[:count], "".join(texts[:count])
    if not texts:
        return b"", 0
    written = _between_marks(befores[::-1], texts[::-1], joined)
    size, longest = len(written) - len(_QUOTES), max(map(len, texts)) + _LEAST
    escapes = size - len(joined) - _LEAST * len(texts)
    # The walk cuts what takes half of what is left, and leaves out what comes when little is left.
    room -= max(2 * min(longest + escapes, longest * _LONGEST_IN_JSON), LEAST_FOR_ITEM)
    begin = written.find(_NEXT, max(size - room, 0) + 1)  # which no text has, as its quotation marks are escaped
    if begin < 0:
        return b"", 0
    count = len(texts) - written.count(_NEXT, 0, begin)
    return b"".join((memoryview(written)[begin + len(_AFTER_TEXT) + 1 : -1], _AFTER_TEXT)), count


def _last_texts(messages: list[Any], end: int, room: int) -> tuple[list[bytes], list[str]]:
    """Return what stands before the text of each such message, and the texts; the last is the first.

    None of them begins as a medium does.
    """
    befores: list[bytes] = []
    texts: list[str] = []
    with suppress(KeyError):  # of another type, or without fields
        for message in reversed(messages[1:end]):
            before = _BEFORE_TEXT[type(message)]
            fields = message.__dict__
            text, name = fields["content"], fields["name"]
            if type(text) is not str or not text or (text[0] in BEGINNINGS and may_hold_blobs(text)):
                break
            room -= len(text) + _LEAST
            if room < 0 or (before is _BEFORE_ANSWER and _answer(fields, _NO_PARTS) is not _NO_PARTS):
                break
            if name is not None:
                if type(name) is not str or not 0 < len(name) < SHORTEST_BLOB:
                    break
                before = before.replace(b",", b',"name":%b,' % _quoted(name), 1)
            befores.append(before)
            texts.append(text)
    return befores, texts


def _between_marks(befores: list[bytes], texts: list[str], joined: str) -> bytes:
    """Return texts as JSON in one pair of quotation marks; before each what is between it and the one before.

    They are written as one text, in which a mark stands for what is between them: of a hundred texts with 57 KB that
    takes 12 us, to write each and to join them 40.
    """
    kinds = set(befores)
    heads = b"".join(kinds).decode()
    mark_of = dict(zip(kinds, (mark for mark in _MARKS if mark not in joined and mark not in heads), strict=False))
    if len(mark_of) < len(kinds):
        pairs = zip(befores, map(_quoted, texts), strict=True)
        return b"".join((b'"', *(b"%b,%b%b" % (_AFTER_TEXT, before, text[1:-1]) for before, text in pairs), b'"'))
    parts = texts * 2
    parts[::2], parts[1::2] = map(mark_of.__getitem__, befores), texts
    written = _quoted("".join(parts))
    for before, mark in mark_of.items():
        written = written.replace(mark.encode(), b"%b,%b" % (_AFTER_TEXT, before))
    return written


def _quoted(text: str) -> bytes:
    try:
        return orjson.dumps(text)
    except orjson.JSONEncodeError:  # half a character is in it
        return orjson.dumps(clean(text))


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
    text = clean(text)
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
        texts = [{"type": "text", "content": redact(part["content"])} for part in texts]
        return {"role": role, "parts": texts}
    return {"role": role, "parts": parts} if name is None else {"role": role, "name": clean(name), "parts": parts}


def _answer(fields: dict[str, Any], texts: list[MessagePart]) -> list[MessagePart] | None:
    """Return the parts of a model's message, texts and calls; None if it has others."""
    calls, invalid = fields.get("tool_calls"), fields.get("invalid_tool_calls")
    if (
        type(calls) is not list
        or type(invalid) is not list
        or invalid
        or not _is_nothing(fields.get("additional_kwargs"))
    ):
        return None
    if not calls:
        return texts
    parts = [part for call in calls[:_MOST_CALLS] if (part := _call(call)) is not None]
    return texts + parts if len(parts) == len(calls) else None


def _call(call: Any) -> MessagePart | None:
    if type(call) is not dict:
        return None
    call_id, name, given = call.get("id"), call.get("name"), call.get("args")
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
