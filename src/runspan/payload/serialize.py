"""Values of any kind as what JSON has: dictionaries, lists, text and numbers."""

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import numbers
import pathlib
import uuid
from collections import UserDict
from functools import singledispatch
from types import MappingProxyType
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue
from pydantic import BaseModel

from runspan._guard import attempt
from runspan.payload.stored import stored_items, stored_pairs
from runspan.payload.text import clean, describe, is_text, unprintable

_DEEPEST: Final = 100
_MOST_VALUES: Final = 1_000_000
# What a value costs of that number if its own code is called.
_PRICE_OF_AN_OBJECT: Final = 10
_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
_SMALLEST_INT: Final = -(2**63)
_LARGEST_INT: Final = 2**64 - 1


def plain_copy(value: object) -> Any:
    """Return any value as built-in dictionaries, lists, texts, numbers, booleans and None, none of them a subclass.

    It holds no cycle, nothing deeper than 100 levels, at most a million values and no text that UTF-8 can't encode.
    What is left out is replaced by words: ``<too deep>``, ``<cycle>``, ``<cut>``, ``<unprintable ...>``.
    """
    return attempt(_Copier().copy, value, 0, default="<too deep>")  # no room on the stack is all that can go wrong


class _Copier:
    """Copies one value; no code of a value runs but in ``attempt``."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self._around: set[int] = set()  # identities of the values that hold the present one

    def copy(self, value: Any, depth: int) -> object:
        kind = type(value)
        if kind is str:
            return value if value.isascii() else clean(value)
        if kind is int:
            return value if _SMALLEST_INT <= value <= _LARGEST_INT else describe(value)
        if kind is float or kind is bool or value is None:
            return value
        if depth >= _DEEPEST:
            return "<too deep>"
        if id(value) in self._around:
            return "<cycle>"
        self._around.add(id(value))
        try:
            return self._copy_parts(value, depth + 1)
        finally:
            self._around.discard(id(value))

    def _copy_parts(self, value: Any, depth: int) -> object:
        if type(value) is list:  # as most are: one copy less
            return self._list(value, depth)
        if (pairs := stored_pairs(value)) is not None:
            return self._dictionary(pairs, depth)
        if (items := stored_items(value)) is not None:
            return self._list(items, depth)
        self._left = max(self._left - _PRICE_OF_AN_OBJECT, 0)
        return self.copy(attempt(_nearer, value, default=unprintable(value)), depth)

    def _dictionary(self, pairs: list[tuple[Any, Any]], depth: int) -> dict[str, object]:
        copies: dict[str, object] = {}
        for key, value in pairs:
            if not self._left:
                copies["<cut>"] = None
                break
            self._left -= 1
            name = clean(key) if is_text(key) else describe(key)
            copies[name] = value if type(value) is str and value.isascii() else self.copy(value, depth)
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


def _nearer(value: object) -> object:
    # By its type: a value may have another ``__class__``, or one that raises.
    return _simpler.dispatch(type(value))(value)


@singledispatch
def _simpler(value: Any) -> object:
    """Return a value in a form that is nearer to JSON."""
    if dataclasses.is_dataclass(type(value)):
        # What its author keeps out of its repr, such as a key, is not for others to read.
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.repr}
    if _is_array(value):
        return value.tolist()
    return describe(value, repr)


def _is_array(value: Any) -> bool:
    """Tell whether this is an array or a number of NumPy's that is no Python number; without importing NumPy."""
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
    if depth > _DEEPEST:
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
    try:
        return bytes(data).decode()
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
