"""The data of a span, read with care: attributes are foreign, each may be of any type."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from runspan.attributes import Attributes, is_count
from runspan.payload import clean, to_json
from runspan.payload.text import text_in

_MAX_DEPTH: Final = 64
_MOST_DOTS: Final = 15
_LONGEST_INDEX: Final = 6  # digits

Names = tuple[str, ...]
"""Attributes of the same meaning; the first that can be read counts."""


class SpanData(NamedTuple):
    """What is read of a span."""

    name: str
    attributes: Attributes
    events: Sequence[tuple[str, Attributes]] = ()
    """Names and attributes of the span's events, in their order."""
    error: str | None = None
    """Description of the status ERROR; None for any other status."""


def text(span: SpanData, names: Names) -> str | None:
    """Return the first text that is not empty."""
    return next(filter(None, (text_in(span.attributes.get(name)) for name in names)), None)


def texts(span: SpanData, names: Names) -> list[str]:
    """Return the first list of texts; a text alone is a list of one."""
    return next(filter(None, (texts_in(span.attributes.get(name)) for name in names)), [])


def count(span: SpanData, names: Names) -> int | None:
    """Return the first number that can count tokens or steps."""
    values = (span.attributes.get(name) for name in names)
    return next((value for value in values if is_count(value)), None)


def number(span: SpanData, names: Names) -> int | float | None:
    """Return the first number."""
    values = (span.attributes.get(name) for name in names)
    return next((value for value in values if isinstance(value, int | float) and not isinstance(value, bool)), None)


def value(span: SpanData, names: Names) -> Any:
    """Return the first value that is not None, texts as they are."""
    found = (span.attributes.get(name) for name in names)
    return plain(next((each for each in found if each is not None), None))


def texts_in(value: object) -> list[str]:
    """Return the texts in a list; a text alone is a list of one."""
    values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    return list(filter(None, map(text_in, values)))


def as_text(value: object) -> str:
    """Return a text as it is, nothing as an empty one, and other data as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def from_json(value: object) -> Any:
    """Return the value of a JSON text; other text as it is, a structured value as dictionaries and lists."""
    if not isinstance(value, str):
        return plain(value)
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return clean(value)
    # It is plain already; only what has more brackets than levels may be too deep.
    return found if value.count("{") + value.count("[") <= _MAX_DEPTH else plain(found)


def structure_in(value: object) -> Any:
    """Return the object or list that a JSON text holds; any other text, also ``"42"``, as it is."""
    is_text = isinstance(value, str) and not value.lstrip().startswith(("{", "["))
    return plain(value) if is_text else from_json(value)


def plain(value: object, depth: int = 0) -> Any:
    """Return a copy made of dictionaries, lists and scalars, of bounded depth."""
    if value is None or type(value) in (int, float, bool):  # asked first, as abstract classes take long
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping | Sequence):
        return _plain_parts(value, depth + 1) if depth < _MAX_DEPTH else "<too deep>"
    return value if isinstance(value, int | float) else to_json(value)


def _plain_parts(value: Mapping[Any, object] | Sequence[object], depth: int) -> Any:
    if isinstance(value, Mapping):
        return {clean(key) if isinstance(key, str) else to_json(key): plain(value[key], depth) for key in value}
    return [plain(item, depth) for item in value]


def nested(span: SpanData, prefix: str) -> dict[str, Any]:
    """Return the attributes below a prefix as nested dictionaries: their names are split at the dots."""
    found: dict[str, Any] = {}
    start = f"{prefix}."
    for name, value in span.attributes.items():
        if name.startswith(start):
            _insert(found, name.removeprefix(start).split(".", _MOST_DOTS), plain(value))
    return found


def _insert(branch: dict[str, Any], path: list[str], leaf: object) -> None:
    *parents, last = path
    for key in parents:
        if not isinstance(branch.get(key), dict):
            branch[key] = {}
        branch = branch[key]
    if not isinstance(branch.get(last), dict):
        branch[last] = leaf


def dicts_in(branch: object) -> list[dict[str, Any]]:
    """Return the dictionaries in a list, or in a branch of a tree whose keys are the indices of one."""
    if isinstance(branch, dict):
        indices = (key for key in branch if key.isascii() and key.isdigit() and len(key) <= _LONGEST_INDEX)
        branch = [branch[index] for index in sorted(indices, key=int)]
    return [item for item in branch if isinstance(item, dict)] if isinstance(branch, list) else []


def value_at(branch: object, *path: str) -> Any:
    """Return the value at a path in nested dictionaries; None if there is none."""
    for key in path:
        if not isinstance(branch, dict):
            return None
        branch = branch.get(key)
    return branch


def without_none(**values: Any) -> dict[str, Any]:
    """Return the values that are not None, by their names."""
    return {name: each for name, each in values.items() if each is not None}
