"""Content as structured values, for who prefers them to JSON."""

import functools
import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import orjson

from runspan import semconv
from runspan.payload.content import is_int64, to_json

_JSON: Final = frozenset(
    (
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        semconv.TOOL_DEFINITIONS,
        semconv.TOOL_ARGUMENTS,
        semconv.DOCUMENTS,
        semconv.INPUTS,
        semconv.OUTPUTS,
    )
)
# Readers of protobuf (C++'s, Java's, Python's; Go's takes 10,000) stop at a hundred messages within each other. A value
# of an attribute is the fifth, each dictionary in it three more: these are 77, which leaves room for who wraps them.
DEEPEST: Final = 24


@functools.cache
def is_structure_recorded() -> bool:
    """Tell whether OpenTelemetry's spans take lists and objects, as they do from 1.45 on; warn if they do not."""
    found = version("opentelemetry-api")
    if tuple(int(part) for part in found.split(".")[:2]) >= (1, 45):
        return True
    logging.getLogger("runspan").warning(
        "content_form is 'structured', but spans of OpenTelemetry %s take no structured values, so content is recorded"
        " as JSON. Install opentelemetry-api and opentelemetry-sdk 1.45 or newer.",
        found,
    )
    return False


def structured(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes in which what is JSON is lists and objects."""
    return {name: _loaded(value) if name in _JSON else value for name, value in attributes.items()}


def _loaded(value: object) -> Any:
    try:
        return _sendable(orjson.loads(value)) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value


def _sendable(value: Any, depth: int = 0) -> Any:
    """Return plain JSON as OTLP holds it: what is nested too deeply as JSON, too large integers as text."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return value if kind is not int or is_int64(value) else str(value)
    if depth == DEEPEST:
        return to_json(value)
    if kind is dict:
        return {key: _sendable(each, depth + 1) for key, each in value.items()}
    return [_sendable(each, depth + 1) for each in value]
