"""What an attribute of a span can hold."""

from collections.abc import Mapping
from typing import Final, TypeGuard

from opentelemetry.util.types import AnyValue

from runspan.semconv import CONTENT, PROMPT_VARIABLE

Attributes = Mapping[str, AnyValue]
"""Attributes of a span, an event or a log record."""
AttributeValue = str | int | float | bool | list[str]
"""A value that spans take in every version of OpenTelemetry."""
PlainAttributes = dict[str, AttributeValue]

# More tokens than any call takes, and few enough that millions of such counts add up to what OTLP can hold.
_MOST_TOKENS: Final = 2**32


def without_content(attributes: Attributes) -> Attributes:
    """Return the attributes that may go anywhere."""
    # Steps of CPython's, as all attributes of a run are looked at twice; few have variables of prompts.
    if PROMPT_VARIABLE in "\n".join(attributes):
        return {name: value for name, value in attributes.items() if not is_content(name)}
    found = CONTENT.intersection(attributes)
    if not found:
        return attributes
    allowed = dict(attributes)
    for name in found:
        del allowed[name]
    return allowed


def only_content(attributes: Attributes) -> dict[str, AnyValue]:
    """Return the attributes that are content."""
    return {name: value for name, value in attributes.items() if is_content(name)}


def is_content(name: str) -> bool:
    """Return whether an attribute of that name is content."""
    return name in CONTENT or name.startswith(PROMPT_VARIABLE)


def is_int64(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer that OTLP can hold; a larger one makes an exporter lose its whole batch."""
    return type(value) is int and -(2**63) <= value < 2**63


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a value can be a number of tokens; a counter beyond 64 bits ends all exports of its process."""
    return type(value) is int and 0 <= value <= _MOST_TOKENS
