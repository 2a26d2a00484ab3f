"""What an attribute can hold, and any value as JSON."""

from typing import Final, TypeGuard

import orjson

from runspan.payload.plain import Copier

AttributeValue = str | int | float | bool | list[str]
Attributes = dict[str, AttributeValue]

# Orjson 3.13 crashes the process (not: raises) if code that it calls fails or changes what it is writing: the offset of
# a time zone, a field of a dataclass that was never set, a list that another thread shortens while a hook runs.
# So it gets no hook and is left no code to call but the ``value`` of an enum, for which it has no option.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SERIALIZE_NUMPY


def is_int64(value: object) -> TypeGuard[int]:
    """Tell whether a value is an integer that OTLP can hold; a larger one makes an exporter lose its whole batch."""
    return type(value) is int and -(2**63) <= value < 2**63


def to_json(value: object) -> str:
    """Return any value as JSON; what JSON has no form for is described in words. Never raises."""
    try:
        return orjson.dumps(value, option=_OPTIONS).decode()
    except TypeError:  # orjson's error for all that is no JSON: objects, cycles, depth, lone surrogates, large numbers
        return orjson.dumps(Copier().copy(value)).decode()
