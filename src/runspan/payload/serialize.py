"""Values of any kind as JSON, and as what JSON has: dictionaries, lists, text and numbers."""

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import logging
import numbers
import pathlib
import uuid
from collections import UserDict
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Final

import orjson
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue
from pydantic import BaseModel

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import is_int64
from runspan.payload.blobs import DATA_KEYS, SHORTEST_BLOB, Blob, blob_field, blob_of, may_hold_blobs, without_blobs
from runspan.payload.stored import stored_items, stored_pairs
from runspan.payload.text import clean, describe, is_text, unprintable

_MAX_DEPTH: Final = 100
_MOST_VALUES: Final = 1_000_000
# An object whose own code is called counts as so many values, since that code may be slow.
_COST_OF_OBJECT: Final = 10
_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
_SMALLEST_INT: Final = -(2**63)
_LARGEST_INT: Final = 2**64 - 1
_JSON: Final = frozenset(
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
# Protobuf libraries (C++, Java, Python; Go's allows 10,000) read at most 100 nested messages. The value of an attribute
# is the fifth and each dictionary in it adds three: 24 levels are 77, which leaves room for messages around a request.
MAX_STRUCTURE_DEPTH: Final = 24


def to_json(value: object) -> str:
    """Return any value as JSON; what JSON has no form for is described as text. Never raises."""
    # orjson 3.13 crashes the process, or writes over its memory, on deep tuples, on a UUID that was not initialized,
    # and where code that it calls fails or changes what it is writing. It only ever gets a copy that has no such thing.
    return orjson.dumps(plain_copy(value)).decode()


def recorded_text(text: str) -> str:
    """Return a text as it is recorded: as UTF-8 can encode it, and with references in place of media."""
    if type(text) is not str:
        text = str.__str__(text)  # without a subclass's own code
    if may_hold_blobs(text):
        text = attempt(without_blobs, text, default=text)
    return text if text.isascii() else clean(text)


def plain_copy(value: object) -> Any:
    """Return any value as built-in dictionaries, lists, texts, numbers, booleans and None, none of them a subclass.

    It holds no cycle, nothing deeper than 100 levels, at most a million values and no text that UTF-8 can't encode.
    What is left out is replaced by a text: ``<too deep>``, ``<cycle>``, ``<cut>``, ``<unprintable ...>``.
    """
    return attempt(_Copier().copy, value, 0, default="<too deep>")  # only a RecursionError can come here


class _Copier:
    """Copies one value; no code of a value runs but in ``attempt``."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self._ancestors: set[int] = set()  # ids of the values around the present one

    def copy(self, value: Any, depth: int) -> object:
        kind = type(value)
        if kind is str:
            return recorded_text(value)
        if kind is int:
            return value if _SMALLEST_INT <= value <= _LARGEST_INT else describe(value)
        if kind is float or kind is bool or value is None:
            return value
        if depth >= _MAX_DEPTH:
            return "<too deep>"
        if id(value) in self._ancestors:
            return "<cycle>"
        self._ancestors.add(id(value))
        try:
            return self._copy_parts(value, depth + 1)
        finally:
            self._ancestors.discard(id(value))

    def _copy_parts(self, value: Any, depth: int) -> object:
        if type(value) is list:  # as most are: one copy less
            return self._list(value, depth)
        if (pairs := stored_pairs(value)) is not None:
            return self._dictionary(pairs, depth)
        if (items := stored_items(value)) is not None:
            return self._list(items, depth)
        self._left = max(self._left - _COST_OF_OBJECT, 0)
        return self.copy(attempt(_simplified, value, default=unprintable(value)), depth)

    def _dictionary(self, pairs: list[tuple[Any, Any]], depth: int) -> dict[str, object]:
        copies: dict[str, object] = {}
        for key, value in pairs:
            if not self._left:
                copies["<cut>"] = None
                break
            self._left -= 1
            name = clean(key) if is_text(key) else describe(key)
            if name in DATA_KEYS and (blob := attempt(_field, value, pairs, default=None)) is not None:
                value = blob.in_words()  # noqa: PLW2901  what is recorded of it
            copies[name] = recorded_text(value) if type(value) is str else self.copy(value, depth)
        return copies

    def _list(self, items: list[Any], depth: int) -> list[object]:
        copies: list[object] = []
        for item in items:
            if not self._left:
                copies.append("<cut>")
                break
            self._left -= 1
            copies.append(item if type(item) is float else self.copy(item, depth))
        return copies


def _field(data: object, holder: list[tuple[Any, Any]]) -> Blob | None:
    if not (type(data) is str or type(data) is bytes) or len(data) < SHORTEST_BLOB:
        return None
    return blob_field(data, holder)


def _simplified(value: object) -> object:
    # By its type: a value may have another ``__class__``, or one that raises.
    return _simpler.dispatch(type(value))(value)


@functools.singledispatch
def _simpler(value: Any) -> object:
    """Return a value in a form that is nearer to JSON."""
    if dataclasses.is_dataclass(type(value)):
        # What its author keeps out of its repr, such as a key, is not for others to read.
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.repr}
    if _is_array(value):
        return value.tolist()
    return describe(value, repr)


def _is_array(value: Any) -> bool:
    """Return whether this is an array or a number of NumPy's that is no Python number; without importing NumPy."""
    return type(value).__module__ == "numpy" and value.size <= _MOST_VALUES


@_simpler.register
def _(message: BaseMessage) -> object:
    kept = ("name", "id", "tool_calls", "tool_call_id")
    named = {name: found for name in kept if (found := getattr(message, name, None))}
    return {"type": message.type, "content": message.content, **named}


@_simpler.register
def _(prompt: ChatPromptValue) -> object:
    # Pydantic would dump its messages by the type that it declares, without what subclasses add.
    return {"messages": prompt.messages}


@_simpler.register
def _(model: BaseModel) -> object:
    return attempt(_dump, model, default=None) or describe(model, repr)


def _dump(model: BaseModel) -> object:
    return model.model_dump(warnings=False, exclude=_hidden(model))


def _hidden(value: Any, depth: int = 0) -> dict[Any, Any]:
    """Return which fields within a value its authors keep out of its repr, as pydantic takes what to leave out."""
    kind = type(value)
    if kind in _SCALARS:
        return {}
    if depth > _MAX_DEPTH:
        raise RecursionError
    shown: dict[Any, bool] = {}
    if issubclass(kind, BaseModel):
        shown = {name: field.repr for name, field in kind.model_fields.items()}
        shown |= dict.fromkeys(value.model_extra or (), True)
    elif dataclasses.is_dataclass(kind):
        shown = {field.name: field.repr for field in dataclasses.fields(kind)}
    parts = [(name, getattr(value, name, None)) for name in shown]
    parts = parts or stored_pairs(value) or list(enumerate(stored_items(value) or ()))
    return {key: out for key, part in parts if (out := shown.get(key) is False or _hidden(part, depth + 1))}


@_simpler.register(UserDict)
@_simpler.register(MappingProxyType)
def _(values: Any) -> object:
    return dict(values)


@_simpler.register(bytes)
@_simpler.register(bytearray)
@_simpler.register(memoryview)
def _(data: bytes | bytearray | memoryview) -> object:
    if (blob := blob_of(data := bytes(data))) is not None:
        return blob.in_words()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


# Subclasses of the built-in types, and NumPy's numbers.
@_simpler.register
def _(text: str) -> object:
    return str.__str__(text)


@_simpler.register
def _(number: numbers.Integral) -> object:
    return int(number)


@_simpler.register
def _(number: numbers.Real) -> object:
    return float(number)


@_simpler.register
def _(member: enum.Enum) -> object:
    return member.value


@_simpler.register
def _(moment: dt.date | dt.time) -> object:
    return moment.isoformat()


@_simpler.register(decimal.Decimal)
@_simpler.register(pathlib.PurePath)
@_simpler.register(uuid.UUID)
def _(value: object) -> object:
    return describe(value)


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
    return {name: _structure_of(value) if name in _JSON else value for name, value in attributes.items()}


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
