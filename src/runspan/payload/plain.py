"""Values of any kind as what JSON has: dictionaries, lists, text and numbers."""

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import numbers
import pathlib
import uuid
from collections import UserDict, deque
from collections.abc import Iterable, Iterator
from functools import singledispatch
from types import MappingProxyType
from typing import Any, Final, TypeVar

from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue
from pydantic import BaseModel

from runspan._guard import attempt
from runspan.payload.text import clean, describe, unprintable

_T = TypeVar("_T")

_DEEPEST: Final = 64
_MOST_VALUES: Final = 100_000
_SMALLEST_INT: Final = -(2**63)
_LARGEST_INT: Final = 2**64 - 1


class Copier:
    """Copies a value into what orjson can surely write: no cycles, bounded depth and size, clean text."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self._around: set[int] = set()  # identities of the values that hold the present one

    def copy(self, value: object, depth: int = 0) -> object:
        """Return the copy; never raises."""
        return attempt(self._copy, value, depth, default=unprintable(value))

    def _copy(self, value: object, depth: int) -> object:
        kind = type(value)
        if kind is str or kind is int or kind is float or kind is bool or value is None:
            return _scalar(value)
        if depth >= _DEEPEST:
            return "<too deep>"
        if id(value) in self._around:
            return "<cycle>"
        self._around.add(id(value))
        try:
            return self._copy_parts(value, depth + 1)
        finally:
            self._around.discard(id(value))

    def _copy_parts(self, value: object, depth: int) -> object:
        if isinstance(value, dict):
            pairs = {_key(key): self.copy(item, depth) for key, item in self._some(value.items())}
            return pairs if self._left else {**pairs, "<cut>": None}
        if isinstance(value, (list, tuple, set, frozenset, deque)):
            items = [self.copy(item, depth) for item in self._some(value)]
            return items if self._left else [*items, "<cut>"]
        return self.copy(_simpler(value), depth)

    def _some(self, items: Iterable[_T]) -> Iterator[_T]:
        for item in items:
            if not self._left:
                return
            self._left -= 1
            yield item


def _key(key: object) -> str:
    # By its type: isinstance() would ask the key for its __class__, and what raises here costs the whole dictionary.
    return clean(str.__str__(key)) if issubclass(type(key), str) else describe(key)


def _scalar(value: Any) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int) and not _SMALLEST_INT <= value <= _LARGEST_INT:
        return describe(value)
    return value


@singledispatch
def _simpler(value: Any) -> object:
    """Return a value in a form that is nearer to JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return describe(value, repr)


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
    return model.model_dump(warnings=False)


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
