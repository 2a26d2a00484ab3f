"""What goes into an agent or a graph and comes out of it: messages, or a state that has none."""

import re
from typing import Any, Final

from langchain_core.messages import BaseMessage, convert_to_messages

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import PlainAttributes
from runspan.payload.inputs_outputs import inputs, outputs
from runspan.payload.items import Items
from runspan.payload.message_types import MessageDict
from runspan.payload.messages import input_messages, message_dict, note_of_messages, text_part
from runspan.payload.response import message_finish_reason
from runspan.payload.writer import UNLIMITED, Writer

# LangGraph's own name for the key of the messages.
_KEY: Final = "messages"
# Of a provider that says twice why a stream ended, LangChain joins the words in the message: ``stopstop``.
_REPEATED: Final = re.compile(r"(.{3,}?)\1+")


def state_inputs(state: object, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the messages that an agent or a graph is given, else all that it is given."""
    messages = _messages(state)
    return input_messages(messages, write, _message_dict) if messages else inputs(state, write)


def state_outputs(state: object, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the last message of what an agent or a graph ends with; all of that if it has no messages."""
    messages = _messages(state)
    if not messages:
        return outputs(state, write)
    last = _message(messages[-1])
    reason = attempt(message_finish_reason, last, default=None) if last is not None else None
    # Phoenix drops a message without one.
    answer = {**_message_dict(messages[-1]), "finish_reason": _once(reason) if reason else "stop"}
    return write.json(semconv.OUTPUT_MESSAGES, Items([answer], note=note_of_messages))


def _once(reason: str) -> str:
    repeated = _REPEATED.fullmatch(reason)
    return repeated.group(1) if repeated is not None else reason


def _messages(state: object) -> list[Any]:
    """Return the messages of a state, also those that are still as LangGraph takes them, such as ``("user", "Hi")``.

    By the last of them: a state may have other things under that name.
    """
    found = state.get(_KEY) if isinstance(state, dict) else getattr(state, _KEY, None)
    if found is None and isinstance(state, list) and state and isinstance(state[-1], BaseMessage):
        found = state
    if found is None:
        return []
    messages = found if isinstance(found, list) else [found]
    return messages if messages and _message(messages[-1]) is not None else []


def _message_dict(value: object) -> MessageDict:
    message = _message(value)
    return (
        message_dict(message)
        if message is not None
        else {"role": "unknown", "parts": Items([{"type": "unknown", "value": value}], note=text_part)}
    )


def _message(value: object) -> BaseMessage | None:
    """Return a message, made of what LangGraph makes one of; None if that can't be."""
    if isinstance(value, BaseMessage):
        return value
    try:
        return convert_to_messages([value])[0]  # type: ignore[list-item]  # it says so itself if it can't
    except (KeyError, NotImplementedError, TypeError, ValueError):
        return None
