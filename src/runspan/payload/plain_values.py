"""What went in and came out as one value, for backends and their lists of traces that read no messages or documents."""

from typing import Any, Final

import orjson

from runspan import semconv
from runspan.attributes import Attributes, PlainAttributes
from runspan.payload.writer import UNLIMITED, Writer

_SIDES: Final = (
    (semconv.INPUT_MESSAGES, semconv.INPUTS, semconv.INPUTS_TYPE),
    (semconv.OUTPUT_MESSAGES, semconv.OUTPUTS, semconv.OUTPUTS_TYPE),
)
_START_OF_MESSAGE: Final = '{"role":'


def root_values(attributes: Attributes, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the text of the last message in and out, as far as attributes of ours have messages with text."""
    values: PlainAttributes = {}
    for messages, name, type_name in _SIDES:
        if (found := attributes.get(messages)) and (text := _last_text(found)):
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


def _last_text(messages: Any) -> str:
    last = _last_message(messages) if isinstance(messages, str) else messages[-1]
    parts = last.get("parts", ())  # of a message that was cut there may be none
    return "".join(part.get("content", "") for part in parts if part["type"] == "text")


def _last_message(messages: str) -> Any:
    """Return the last of messages that are JSON; the others of a conversation, which may be long, are not read."""
    try:
        return orjson.loads(messages[messages.rfind(_START_OF_MESSAGE) : -1])
    except orjson.JSONDecodeError:  # it was the start of something within the last message
        found = orjson.loads(messages)
        return found[-1] if found else {}
