"""A value of any kind in a form that is nearer to JSON, its parts as they are."""

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import itertools
import numbers
import pathlib
import uuid
from array import array
from collections import ChainMap, UserDict, UserList, UserString
from collections.abc import ItemsView, Iterable, KeysView, ValuesView
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue
from pydantic import BaseModel, PlainSerializer, WrapSerializer
from pydantic.fields import FieldInfo

from runspan.payload.blobs import blob_of
from runspan.payload.commands import is_of_langgraph
from runspan.payload.text import LONGEST_DESCRIPTION, Excerpt, describe, described

# Of an array or a mapping of a foreign kind, which has to be copied whole.
_MOST_ITEMS: Final = 10_000
# Of bytes that are text.
_MOST_BYTES: Final = 100_000


def simplified(value: object) -> object:
    """Return a value in a form that is nearer to JSON; its parts may be of any kind still.

    It runs the value's own code, which may raise anything.
    """
    # By its type: a value may have another ``__class__``, or one that raises.
    return _simpler.dispatch(type(value))(value)


@functools.singledispatch
def _simpler(value: Any) -> object:
    if dataclasses.is_dataclass(type(value)):
        # What its author keeps out of its repr, such as a key, is not for others to read.
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.repr}
    if _is_array(value):
        return value.tolist()
    if is_of_langgraph(type(value), "langgraph.types", "Send"):  # its repr would have a whole state
        return {"node": value.node, "arg": value.arg}
    return _in_words(value)


def _in_words(value: object) -> Excerpt:
    return Excerpt(described(value, repr), LONGEST_DESCRIPTION)


def _has_repr_of(value: object, *kinds: Any) -> bool:
    """Return whether the repr of a value is that of a built-in kind, with all that is in it, and not its author's."""
    return type(value).__repr__ in [kind.__repr__ for kind in kinds]


def _is_array(value: Any) -> bool:
    """Return whether this is an array or a number of NumPy's that is no Python number; without importing NumPy."""
    return type(value).__module__ == "numpy" and value.size <= _MOST_ITEMS


@_simpler.register
def _(message: BaseMessage) -> object:
    # Not by getattr(): that pydantic has no such field costs it as much as all the rest.
    kept, fields = ("name", "id", "tool_calls", "tool_call_id"), vars(message)
    named = {name: found for name in kept if (found := fields.get(name))}
    return {"type": message.type, "content": message.content, **named}


@_simpler.register
def _(prompt: ChatPromptValue) -> object:
    return {"messages": prompt.messages}


@_simpler.register
def _(model: BaseModel) -> object:
    # Field by field: pydantic would dump a field by the type that it declares, without what subclasses add, and whole.
    kind = type(model)
    if kind.__pydantic_decorators__.model_serializers:
        return model.model_dump(warnings=False)
    fields = {name: field for name, field in kind.model_fields.items() if field.repr and not field.exclude}
    stored = {name: vars(model)[name] for name in fields if name in vars(model)}
    serialized = {name for name in stored if _has_serializer(kind, name, fields[name])}
    if serialized:
        stored |= model.model_dump(include=serialized, warnings=False)
    computed = {name: getattr(model, name) for name, field in kind.model_computed_fields.items() if field.repr}
    values = stored | (model.model_extra or {}) | computed
    return values["root"] if kind.__pydantic_root_model__ else values


def _has_serializer(kind: type[BaseModel], name: str, field: FieldInfo) -> bool:
    """Return whether the author of a model says how a field is written: it may be masked."""
    if any(isinstance(each, PlainSerializer | WrapSerializer) for each in field.metadata):
        return True
    return any({name, "*"} & set(each.info.fields) for each in kind.__pydantic_decorators__.field_serializers.values())


@_simpler.register(UserDict)
@_simpler.register(UserList)
@_simpler.register(UserString)
def _(wrapper: "UserDict[Any, Any] | UserList[Any] | UserString") -> object:
    return wrapper.data


@_simpler.register(ChainMap)
def _(chained: "ChainMap[Any, Any]") -> object:
    return chained.maps


@_simpler.register
def _(values: SimpleNamespace) -> object:
    return vars(values) if _has_repr_of(values, SimpleNamespace) else _in_words(values)


@_simpler.register
def _(error: BaseException) -> object:
    is_short = all(isinstance(each, str | int | float | None) for each in error.args)
    # Groups have one of their own in Python 3.14.
    if is_short or not _has_repr_of(error, BaseException, BaseExceptionGroup):
        return _in_words(error)
    return {type(error).__name__: error.args}


# Their repr would have all that is in them.
@_simpler.register(KeysView)
@_simpler.register(ValuesView)
@_simpler.register(ItemsView)
@_simpler.register(array)
def _(values: Iterable[Any]) -> object:
    return list(itertools.islice(values, _MOST_ITEMS))


@_simpler.register(MappingProxyType)
def _(values: MappingProxyType[Any, Any]) -> object:
    return dict(itertools.islice(values.items(), _MOST_ITEMS))


@_simpler.register(bytes)
@_simpler.register(bytearray)
@_simpler.register(memoryview)
def _(data: bytes | bytearray | memoryview) -> object:
    if (size := memoryview(data).nbytes) > _MOST_BYTES and not isinstance(data, bytes):
        return f"<{size:,} bytes>"
    if (blob := blob_of(data := bytes(data))) is not None:
        return blob.in_words()
    if size > _MOST_BYTES:
        return f"<{size:,} bytes>"
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
