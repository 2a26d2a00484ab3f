"""Messages of LangChain as messages of the GenAI conventions: a role and parts.

Works on ``message.content`` as the provider's package left it: LangChain's own translation into standard blocks
costs more than all the rest of a run's telemetry.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import Attributes, PlainAttributes
from runspan.payload.beside import Beside, blocks_beside
from runspan.payload.items import Items
from runspan.payload.media import MODALITIES, media_part
from runspan.payload.message_types import ContentBlock, MessageDict, MessagePart
from runspan.payload.plain_messages import plain_answer, plain_message, plain_texts
from runspan.payload.response import finish_reason
from runspan.payload.serialize import json_bytes
from runspan.payload.server_tools import SERVER_PARTS
from runspan.payload.stored import stored_items, stored_length, stored_pairs
from runspan.payload.text import describe, text_in
from runspan.payload.writer import UNLIMITED, Writer

_MOST_BLOCKS: Final = 1_000  # of a message
_ROLE_OF_NOTE: Final = "…"
_HASHED: Final = ("type", "name", "tool_call_id", "content")
_OF_TEXT: Final = (HumanMessage, SystemMessage, ToolMessage)
_START_OF_NOTE: Final = r'"role":"\u2026"'  # as the note is written
_ROLES: Final = {
    "human": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "SystemMessageChunk": "system",
    "tool": "tool",
    "ToolMessageChunk": "tool",
    "function": "tool",
    "FunctionMessageChunk": "tool",
}


def input_messages(
    messages: Sequence[Any], write: Writer = UNLIMITED, make: Callable[[Any], MessageDict] | None = None
) -> PlainAttributes:
    """Return the messages to a chat model, in the order sent; the newest of them if there is no room for all.

    Args:
        messages: a list or tuple.
        write: writes them.
        make: returns a message in the conventions' form; by default of LangChain's.
    """
    items = Items(messages, make or message_dict, True, note_of_messages, plain_message, plain_texts)
    return write.json(semconv.INPUT_MESSAGES, items)


def has_all_messages(attributes: Attributes) -> bool:
    """Return whether there was room for each message that a model reads, be it cut."""
    written = attributes.get(semconv.INPUT_MESSAGES)
    return isinstance(written, str) and _START_OF_NOTE not in written


def message_hash(message: BaseMessage) -> int:
    """Return a hash of what spans have of a message, of a model's without a name: agents give it one later."""
    fields = vars(message)
    kept = tuple(map(fields.get, _HASHED))
    if type(message) in _OF_TEXT and all(each is None or type(each) is str for each in kept):
        return hash(kept)  # nothing else is recorded of it; a text, however long, has its hash once it was computed
    written = plain_message(message) if fields.get("name") is None else None
    return hash(written or json_bytes(Items([message], _without_late_name))[1:-1])


def _without_late_name(message: BaseMessage) -> MessageDict:
    made = message_dict(message)
    return {"role": made["role"], "parts": made["parts"]} if isinstance(message, AIMessage) else made


def input_prompts(prompts: Sequence[str], write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the prompts of a completion model."""
    return input_messages(prompts, write, _prompt)


def output_messages(
    response: LLMResult, write: Writer = UNLIMITED, reasons: Sequence[str | None] = (), *, is_whole: bool = True
) -> PlainAttributes:
    """Return the messages from a model, one for each generation.

    Args:
        response: the model's answer.
        write: writes it.
        reasons: why each generation ended, where that was read already.
        is_whole: whether the call came to its end, so that an answer without a reason is no error.
    """
    generations = [generation for batch in response.generations for generation in batch]
    reasons = reasons or list(map(finish_reason, generations))
    is_failed = not is_whole or any(reasons)
    answers = [
        # Deprecated in favour of gen_ai.response.finish_reasons, but Jaeger shows it, and Phoenix drops what has none.
        (generation, reason or ("error" if is_failed else _likely_reason(generation)))
        for generation, reason in zip(generations, reasons, strict=True)
    ]
    return write.json(semconv.OUTPUT_MESSAGES, Items(answers, _answer, note=note_of_messages, write=plain_answer))


def _answer(answer: tuple[Generation, str]) -> MessageDict:
    generation, reason = answer
    return {**_output_message(generation), "finish_reason": reason}


def note_of_messages(text: str) -> MessageDict:
    """Return what stands in a list of messages for those that were left out."""
    return {"role": _ROLE_OF_NOTE, "parts": [text_part(text)]}


def text_part(text: str) -> MessagePart:
    """Return a part that is a text; among parts also what stands for those that were left out."""
    return {"type": "text", "content": text}


def _prompt(prompt: str) -> MessageDict:
    return {"role": "user", "parts": Items(_content(prompt), note=text_part)}


def _output_message(generation: Generation) -> MessageDict:
    if isinstance(generation, ChatGeneration):
        return message_dict(generation.message)
    return {"role": "assistant", "parts": Items(_content(generation.text), note=text_part)}


def _likely_reason(generation: Generation) -> str:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return "tool_call" if isinstance(message, AIMessage) and message.tool_calls else "stop"


def message_dict(message: BaseMessage) -> MessageDict:
    """Return a message in the conventions' form."""
    # A ChatMessage has a role of its own; what users derive from BaseMessage has one or only a type.
    role = _ROLES.get(message.type) or getattr(message, "role", None) or message.type
    if message.name:
        return {"role": role, "name": message.name, "parts": Items(_parts(message, role), note=text_part)}
    return {"role": role, "parts": Items(_parts(message, role), note=text_part)}


def _parts(message: BaseMessage, role: str) -> list[MessagePart]:
    if role == "tool":
        call_id = getattr(message, "tool_call_id", None)
        return [_call_response(call_id, message.content)]
    if not isinstance(message, AIMessage):
        return _content(message.content)
    # Arguments of an invalid call are no JSON; they stay as the model wrote them.
    calls = [_call_part(call["name"], call["args"], call["id"]) for call in _calls(message)]
    parts = _content(message.content, leave_out=_CALL_TYPES if calls else ())
    if message.additional_kwargs:
        beside = attempt(blocks_beside, message, default=Beside([], []))
        parts = [*_content(beside.before), *parts, *_content(beside.after)]
    return parts + calls


def _calls(message: AIMessage) -> Sequence[ToolCall | InvalidToolCall]:
    return (*message.tool_calls, *message.invalid_tool_calls)


def _content(content: str | Sequence[str | ContentBlock], leave_out: Sequence[str] = ()) -> list[MessagePart]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    # One block that can't be read must not cost the others.
    blocks = stored_items(content, _MOST_BLOCKS) or ()
    parts = (attempt(_part, block, leave_out, default={"type": "unknown", "value": block}) for block in blocks)
    found = [part for part in parts if part is not None]
    if (left_out := (stored_length(content) or 0) - _MOST_BLOCKS) > 0:
        found.append(text_part(f"… [{left_out:,} blocks left out]"))
    return found


def _part(block: str | ContentBlock, leave_out: Sequence[str]) -> MessagePart | None:
    if isinstance(block, str):
        return {"type": "text", "content": block}
    kind = text_in(block.get("type"))
    if kind == "non_standard" and isinstance(inner := block.get("value"), dict):
        # LangChain's own form of what it has no block for.
        block, kind = inner, text_in(inner.get("type"))
    if kind in leave_out:
        return None
    if kind is None:
        return {"type": "unknown", "value": block}
    read = _READERS.get(kind)
    part = read(block) if read else block
    # A provider's block whose type the conventions use for something else would break their schema.
    return {"type": "unknown", "value": block} if part is block and kind in _RESERVED_TYPES else part


def _text(block: ContentBlock) -> MessagePart | None:
    text = block.get("text")
    return {"type": "text", "content": text} if isinstance(text, str) else None


def _plain_text(block: ContentBlock) -> MessagePart | None:
    """Return LangChain's document of plain text: its text, or where that is."""
    return _text(block) or media_part(block)


def _reasoning(block: ContentBlock) -> MessagePart | None:
    thoughts = next((block[key] for key in _THOUGHTS if block.get(key)), None)
    text = _joined(thoughts)
    return {"type": "reasoning", "content": text} if text else None


def _joined(thoughts: object) -> str:
    """Return the text in a text, in a block of text, or in a list of such blocks."""
    if isinstance(thoughts, str):
        return thoughts
    if isinstance(thoughts, dict):
        return _joined(thoughts.get("text"))
    return "\n".join(map(_joined, stored_items(thoughts) or ()))


def _compaction(block: ContentBlock) -> MessagePart:
    """Return a summary of earlier messages; OpenAI's is encrypted."""
    pairs = stored_pairs(block) or ()
    return {key: value for key, value in pairs if key not in ("id", "content") or isinstance(value, str)}


def _call_block(block: ContentBlock) -> MessagePart:
    arguments = next((block[key] for key in ("input", "args", "arguments") if key in block), None)
    return _call_part(block.get("name"), arguments, block.get("call_id") or block.get("id"))


def _call_part(name: object, arguments: object, call_id: object) -> MessagePart:
    return {"type": "tool_call", **_id(call_id), "name": describe(name) if name else "", "arguments": arguments}


def _result_block(block: ContentBlock) -> MessagePart:
    return _call_response(block.get("tool_use_id"), block.get("content"))


def _call_response(call_id: object, response: object) -> MessagePart:
    return {"type": "tool_call_response", **_id(call_id), "response": response}


def _id(call_id: object) -> dict[str, str]:
    return {"id": describe(call_id)} if call_id else {}


_THOUGHTS: Final = ("thinking", "reasoning", "reasoning_content", "summary", "content")
_RESERVED_TYPES: Final = frozenset(("blob", "uri", "file", "tool_call_response", "server_tool_call_response"))
# Blocks that repeat AIMessage.tool_calls.
_CALL_TYPES: Final = (
    "tool_use",
    "tool_call",
    "tool_call_chunk",
    "invalid_tool_call",
    "function_call",
    "custom_tool_call",
)
_READERS: Final[dict[str, Callable[[ContentBlock], MessagePart | None]]] = {
    **dict.fromkeys(("text", "input_text", "output_text"), _text),
    **dict.fromkeys(("thinking", "reasoning", "reasoning_content"), _reasoning),
    **dict.fromkeys(_CALL_TYPES, _call_block),
    "tool_result": _result_block,
    "compaction": _compaction,
    **SERVER_PARTS,
    **dict.fromkeys(MODALITIES, media_part),
    "text-plain": _plain_text,
}
