"""What goes into an agent or a graph and comes out of it: messages, or a state that has none."""

from collections.abc import Sequence

from langchain_core.messages import BaseMessage, convert_to_messages

from runspan import semconv
from runspan.attributes import PlainAttributes
from runspan.payload.inputs_outputs import inputs, outputs
from runspan.payload.messages import input_messages, message_dict
from runspan.payload.serialize import to_json
from runspan.payload.stored import stored_items

# LangGraph's own name for the key of the messages.
_KEY = "messages"


def state_inputs(state: object) -> PlainAttributes:
    """Return the messages that an agent or a graph is given, else all that it is given."""
    messages = _messages(state)
    return input_messages(messages) if messages else inputs(state)


def state_outputs(state: object) -> PlainAttributes:
    """Return the last message of what an agent or a graph ends with; all of that if it has no messages."""
    messages = _messages(state)
    if not messages:
        return outputs(state)
    return {semconv.OUTPUT_MESSAGES: to_json([{**message_dict(messages[-1]), "finish_reason": "stop"}])}


def _messages(state: object) -> Sequence[BaseMessage]:
    """Return the messages of a state, also those that are still as LangGraph takes them, such as ``("user", "Hi")``."""
    found = state.get(_KEY) if isinstance(state, dict) else getattr(state, _KEY, None)
    if found is None and (items := stored_items(state)) and isinstance(items[0], BaseMessage):
        found = items
    if found is None:
        return ()
    messages = list(map(_message, found if isinstance(found, list) else [found]))
    return [each for each in messages if each is not None] if None not in messages else ()


def _message(value: object) -> BaseMessage | None:
    if isinstance(value, BaseMessage):
        return value
    try:
        return convert_to_messages([value])[0]  # type: ignore[list-item]  # it says so itself if it can't
    except (KeyError, NotImplementedError, TypeError, ValueError):
        return None  # a state may have other things under that name
