"""What an attribute can hold, and any value as JSON."""

from typing import Final, TypeGuard

import orjson

from runspan.payload.serialize import plain_copy

AttributeValue = str | int | float | bool | list[str]
Attributes = dict[str, AttributeValue]

# More tokens than any call takes, and few enough that millions of such counts add up to what OTLP can hold.
_MOST_TOKENS: Final = 2**32


def is_int64(value: object) -> TypeGuard[int]:
    """Tell whether a value is an integer that OTLP can hold; a larger one makes an exporter lose its whole batch."""
    return type(value) is int and -(2**63) <= value < 2**63


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value can be a number of tokens; a counter beyond 64 bits ends all exports of its process."""
    return type(value) is int and 0 <= value <= _MOST_TOKENS


def to_json(value: object) -> str:
    """Return any value as JSON; what JSON has no form for is described in words. Never raises."""
    # orjson 3.13 crashes the process, or writes over its memory, on deep tuples, on a UUID that was not initialized,
    # and where code that it calls fails or changes what it is writing. It only ever gets a copy that has no such thing.
    return orjson.dumps(plain_copy(value)).decode()
