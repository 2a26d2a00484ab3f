"""What went in and came out as one value, for backends and their lists of traces that read no messages or documents."""

from typing import Any, Final

import orjson

from runspan import semconv
from runspan.attributes import Attributes, PlainAttributes
from runspan.payload.writer import UNLIMITED, Writer

_START_OF_MESSAGE: Final = '{"role":'


def root_values(attributes: Attributes, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the text of the last message in and of the answer, as far as attributes of ours have messages with text.

    Of several choices the first is the answer: a model returns that one.
    """
    values: PlainAttributes = {}
    for messages, read, name, type_name in _SIDES:
        if (found := attributes.get(messages)) and (text := _text(read(found))):
            values |= _typed(write.again(name, text), type_name, "text/plain")
    return values


def retrieval_values(attributes: Attributes, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return query and documents again, which Langfuse and MLflow read by no other name.

    Nor does Phoenix read the documents if one has no id or no score.
    """
    values: PlainAttributes = {}
    if isinstance(query := attributes.get(semconv.QUERY), str):
        values |= _typed(write.again(semconv.INPUTS, query), semconv.INPUTS_TYPE, "text/plain")
    if isinstance(documents := attributes.get(semconv.DOCUMENTS), str):
        values |= _typed(write.again(semconv.OUTPUTS, documents), semconv.OUTPUTS_TYPE, "application/json")
    return values


def _typed(written: PlainAttributes, name: str, media_type: str) -> PlainAttributes:
    return written | {name: media_type} if written else {}


def _text(message: Any) -> str:
    parts = message.get("parts", ())  # where there was no room for a message there is none
    return "".join([part["content"] for part in parts if part["type"] == "text"])


def _first_message(messages: Any) -> Any:
    found = orjson.loads(messages) if isinstance(messages, str) else messages
    return found[0] if found else {}


def _last_message(messages: Any) -> Any:
    """Return the last of messages; of JSON the others of a conversation, which may be long, are not read."""
    if not isinstance(messages, str):
        return messages[-1]
    try:
        return orjson.loads(messages[messages.rfind(_START_OF_MESSAGE) : -1])
    except orjson.JSONDecodeError:  # it was the start of something within the last message
        found = orjson.loads(messages)
        return found[-1] if found else {}


_SIDES: Final = (
    (semconv.INPUT_MESSAGES, _last_message, semconv.INPUTS, semconv.INPUTS_TYPE),
    (semconv.OUTPUT_MESSAGES, _first_message, semconv.OUTPUTS, semconv.OUTPUTS_TYPE),
)
