"""Content as structured values, for who prefers them to JSON."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from runspan import semconv

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


def structured(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes in which what is JSON is lists and objects."""
    return {name: _loaded(value) if name in _JSON else value for name, value in attributes.items()}


def _loaded(value: object) -> Any:
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value
