"""Content as lists and objects, in the form that OpenTelemetry's spans hold."""

import functools
import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import orjson

from runspan import semconv
from runspan.attributes import is_int64
from runspan.payload.serialize import to_json

STRUCTURED: Final = frozenset(
    (
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        semconv.SYSTEM_INSTRUCTIONS,
        semconv.OUTPUT_SCHEMA,
        semconv.TOOL_DEFINITIONS,
        semconv.TOOL_ARGUMENTS,
        semconv.DOCUMENTS,
    )
)
"""The attributes that become lists and objects; collector-config/base.yaml searches them."""
# Protobuf libraries (C++, Java, Python; Go's allows 10,000) read at most 100 nested messages. The value of an attribute
# is the fifth and each dictionary in it adds three: 24 levels are 77, which leaves room for messages around a request.
MAX_STRUCTURE_DEPTH: Final = 24


@functools.cache
def is_structure_recorded() -> bool:
    """Return whether OpenTelemetry's spans take lists and objects, as they do from 1.45 on; warn if they do not."""
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
    return {name: _structure_of(value) if name in STRUCTURED else value for name, value in attributes.items()}


def _structure_of(value: object) -> Any:
    try:
        return _for_otlp(orjson.loads(value)) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value


def _for_otlp(value: Any, depth: int = 0) -> Any:
    """Return plain JSON as OTLP holds it: what is nested too deeply as JSON, too large integers as text."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return value if kind is not int or is_int64(value) else str(value)
    if depth == MAX_STRUCTURE_DEPTH:
        return to_json(value)
    if kind is dict:
        return {key: _for_otlp(each, depth + 1) for key, each in value.items()}
    return [_for_otlp(each, depth + 1) for each in value]
