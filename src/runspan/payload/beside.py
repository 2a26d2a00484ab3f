"""What packages of providers put beside the content of an answer, as blocks like those of the content itself."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
from langchain_core.messages import AIMessage

from runspan.payload.message_types import ContentBlock
from runspan.payload.stored import stored_items
from runspan.payload.text import is_text, text_at, text_in

_THOUGHTS: Final = ("reasoning_content", "reasoning")
_THOUGHT_TYPES: Final = frozenset(("reasoning", "reasoning_content", "thinking"))


class Beside(NamedTuple):
    """The blocks that belong before the content, and those after it."""

    before: list[ContentBlock]
    after: list[ContentBlock]


def blocks_beside(message: AIMessage) -> Beside:
    """Return thoughts, results of the provider's tools, a refusal, a spoken answer and a call of the legacy form.

    What stands in the content or among the tool calls, too, is left out.
    """
    found = message.additional_kwargs
    thoughts = [] if _has_thoughts(message.content) else _thoughts(found)
    after = [*(stored_items(found.get("tool_outputs")) or ()), *_refusal(found), *_spoken(found)]
    if not (message.tool_calls or message.invalid_tool_calls):
        after.extend(_legacy_call(found))
    return Beside(thoughts, after)


def _has_thoughts(content: object) -> bool:
    blocks = () if isinstance(content, str) else stored_items(content) or ()
    return any(isinstance(block, dict) and text_in(block.get("type")) in _THOUGHT_TYPES for block in blocks)


def _thoughts(found: Mapping[str, Any]) -> list[ContentBlock]:
    """Return the thoughts of Ollama, Groq, DeepSeek and xAI, which are text, or OpenAI's, which are summaries."""
    for thoughts in map(found.get, _THOUGHTS):
        if isinstance(thoughts, dict):
            return [{**thoughts, "type": "reasoning"}]
        if text := text_in(thoughts):
            return [{"type": "reasoning", "reasoning": text}]
    return []


def _refusal(found: Mapping[str, Any]) -> list[ContentBlock]:
    refusal = text_in(found.get("refusal"))
    return [{"type": "refusal", "refusal": refusal}] if refusal else []


def _spoken(found: Mapping[str, Any]) -> list[ContentBlock]:
    """Return the sound of a spoken answer, which later calls name by its id, and what it says."""
    audio = found.get("audio")
    sound, sound_id, transcript = text_at(audio, "data"), text_at(audio, "id"), text_at(audio, "transcript")
    blocks: list[ContentBlock] = []
    if sound:
        blocks.append({"type": "audio", "data": sound})
    elif sound_id:
        blocks.append({"type": "audio", "file_id": sound_id})
    return [*blocks, {"type": "text", "text": transcript}] if transcript else blocks


def _legacy_call(found: Mapping[str, Any]) -> list[ContentBlock]:
    call = found.get("function_call")
    if not isinstance(call, dict):
        return []
    return [{"type": "function_call", "name": call.get("name"), "arguments": arguments(call.get("arguments"))}]


def arguments(text: object) -> object:
    """Return arguments that are JSON as they are in tool calls; others stay as the model wrote them."""
    try:
        return orjson.loads(text) if is_text(text) else text
    except orjson.JSONDecodeError:
        return text
