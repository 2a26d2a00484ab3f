"""Values that are JSON as they are, as most are: a few texts and numbers, none of them a medium.

Such as the inputs of a chain, the arguments of a tool, a call of it, which has them in a dictionary within it, and a
message of LangChain's with a text and calls. A walk through one comes to the same and takes some four times as long:
``prompt | model`` executes 18,700 bytecodes this way, 21,700 without it.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue

from runspan.attributes import is_int64
from runspan.payload.blobs import DATA_KEYS, SHORTEST_BLOB, may_hold_blobs

_MOST_KEYS: Final = 20
_LEVELS: Final = 1
_BESIDE_CONTENT: Final = ("name", "id", "tool_calls", "tool_call_id")
DEPTH_OF_FLAT: Final = 6
"""How many levels such a value may have at the most, lists and objects among them."""


def flat_json(value: Any, most: int) -> bytes | None:
    """Return the JSON of such a value if it takes no more than so many bytes; None of any other value."""
    copied = _COPIED.get(type(value))
    # It has built-in types alone, so no code of others runs now, and nobody else has it.
    written = plain_json(copied(value, most, _LEVELS)) if copied is not None else None
    return written if written is not None and len(written) <= most else None


def plain_json(made: object) -> bytes | None:
    """Return built-in types as JSON; None of None, and if a text has half a character, which ``clean`` replaces."""
    try:
        return orjson.dumps(made) if made is not None else None
    except orjson.JSONEncodeError:
        return None


def flat_copy(value: dict[Any, Any], longest: int, levels: int = _LEVELS) -> dict[str, object] | None:
    """Return a copy of such a dictionary; None of any other.

    Args:
        value: the dictionary.
        longest: the characters of its longest text.
        levels: how many dictionaries may be within each other in it. Few: where one is no such, all that was looked at
            is looked at again.
    """
    if len(value) > _MOST_KEYS:
        return None
    copy = _with_plain_values(value.copy(), longest, levels)
    for key in copy or ():
        if type(key) is not str or len(key) >= SHORTEST_BLOB or key in DATA_KEYS:
            return None
    return copy


def _with_plain_values(copy: dict[str, object], longest: int, levels: int) -> dict[str, object] | None:
    """Return a dictionary with copies in place of its lists and dictionaries; None if a value is not plain."""
    for key, each in copy.items():
        if type(each) is str:
            if len(each) > longest or (len(each) >= SHORTEST_BLOB and may_hold_blobs(each)):
                return None
        elif type(each) is list or type(each) in _COPIED:
            if not levels or (nested := _nested(each, longest, levels - 1)) is None:
                return None
            copy[key] = nested
        elif not _is_number(each):
            return None
    return copy


def _nested(value: Any, longest: int, levels: int) -> object:
    """Return a copy of a dictionary, of a message, or of a list of messages or numbers; None of anything else."""
    if type(value) is not list:
        return _COPIED[type(value)](value, longest, levels)
    if len(value) > _MOST_KEYS:
        return None
    copies: list[object] = []
    for each in value.copy():
        copy = each
        # A dictionary is none: what is nested deeply would be looked at once for each level.
        if type(each) in _COPIED and type(each) is not dict:
            copy = _COPIED[type(each)](each, longest, levels)
            if copy is None:
                return None
        elif not _is_number(each):
            return None
        copies.append(copy)
    return copies


def _is_number(value: object) -> bool:
    """Return whether a value is a number or a constant of JSON."""
    kind = type(value)
    return value is None or kind is bool or kind is float or is_int64(value)


def _prompt_copy(prompt: ChatPromptValue, longest: int, levels: int) -> dict[str, object] | None:
    messages = vars(prompt).get("messages")
    return _with_plain_values({"messages": messages}, longest, levels) if type(messages) is list else None


def _message_copy(message: BaseMessage, longest: int, levels: int) -> dict[str, object] | None:
    """Return what ``simplified`` does, of a message whose fields have the types that LangChain gives them."""
    fields = vars(message)
    kind, content = fields.get("type"), fields.get("content")
    if type(kind) is not str or content is None:
        return None
    copy = {"type": kind, "content": content}
    for name in _BESIDE_CONTENT:
        found = fields.get(name)
        if found is None:
            continue
        if type(found) is not str and type(found) is not list:
            return None
        if found:
            copy[name] = found
    return _with_plain_values(copy, longest, levels)


_COPIED: Final[dict[type, Callable[[Any, int, int], dict[str, object] | None]]] = {
    dict: flat_copy,
    **dict.fromkeys((AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage), _message_copy),
    ChatPromptValue: _prompt_copy,
}
KINDS: Final = frozenset(_COPIED)
"""The types of such values; a list may be long, and what is in it comes by itself."""
