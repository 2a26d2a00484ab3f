"""A program: hands handlers values of every odd kind; a native serializer that dies of one takes this process along."""

import collections
import dataclasses
import datetime as dt
import enum
import gc
import json
import uuid
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from pydantic import BaseModel, ConfigDict

from runspan import payload
from runspan._guard import attempt
from runspan.payload.structure import structured
from runspan.payload.usage import usage


class PanicError(BaseException):
    """As pyo3's: no Exception."""


class Itself(enum.Enum):
    A = 1

    @property
    def value(self):
        return self


class Panicking(enum.Enum):
    A = 1

    @property
    def value(self):
        raise PanicError


class Word(str, enum.Enum):  # noqa: UP042  what many still write
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


class Zone(dt.tzinfo):
    def utcoffset(self, _):
        raise PanicError


def fail(*_):
    raise PanicError


HOOKS = dict.fromkeys(
    ("__repr__", "__str__", "__iter__", "__len__", "__bool__", "__eq__", "__getitem__", "__format__"), fail
)
HOSTILE = {
    base: type(f"Hostile{base.__name__}", (base,), {**HOOKS, "__hash__": object.__hash__})
    for base in (str, int, float, list, tuple, dict, set, bytes, collections.deque, object)
}
HOSTILE[dict].items = HOSTILE[dict].keys = HOSTILE[dict].get = HOSTILE[str].isascii = HOSTILE[str].encode = fail


@dataclasses.dataclass(slots=True)
class Box:
    inside: Any
    unset: int = dataclasses.field(init=False)


@dataclasses.dataclass
class Open:
    inside: Any


Pair = collections.namedtuple("Pair", "left right")  # noqa: PYI024  the untyped form is met too


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)
    inside: Any


def nested(wrap, depth):
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


def cyclic(wrap):
    around: list[Any] = []
    around.append(wrap(around))
    return around


def shared(times):
    value: Any = [1]
    for _ in range(times):
        value = [value, value]
    return value


def as_tuple(value):
    return (value,)


def as_list(value):
    return [value]


def as_dict(value):
    return {"a": value}


ODD = (
    *(Itself.A, Panicking.A, Word.A, Number.ONE, Itself, Model, len, ..., 10**5000, -(10**5000)),
    *(np.float64("nan"), np.int64(3), np.bool_(1), np.datetime64("2026-01-01"), np.array("x")),
)
text = st.text(st.characters(), max_size=4)
deep = st.builds(
    nested,
    st.sampled_from((as_tuple, as_list, as_dict, Box, Open)),
    st.sampled_from((1, 63, 64, 65, 99, 100, 101, 253, 254, 255, 256, 1023, 1024, 1025, 3_000, 20_000)),
)
leaves = (
    st.none()
    | st.booleans()
    | text
    | st.integers()
    | st.integers(2**62, 2**66)
    | st.floats()
    | st.complex_numbers()
    | st.binary(max_size=4)
    | st.decimals()
    | st.builds(lambda: object.__new__(uuid.UUID))
    | st.uuids()
    | st.datetimes()
    | st.datetimes().map(lambda moment: moment.replace(tzinfo=Zone()))
    | st.sampled_from(range(len(ODD))).map(ODD.__getitem__)  # by number: hypothesis prints what it is given
    | st.builds(np.array, st.lists(st.integers(-5, 5), max_size=3) | st.lists(text, max_size=3))
    | st.builds(lambda: np.array([Itself.A, (1,)], dtype=object))
    | st.builds(memoryview, st.binary(max_size=4))
    | st.builds(HOSTILE[object])
    | st.builds(HOSTILE[str], text)
    | st.builds(HOSTILE[int], st.integers())
    | st.builds(HOSTILE[float], st.floats())
    | st.builds(HOSTILE[bytes], st.binary(max_size=4))
    | st.builds(cyclic, st.sampled_from((as_tuple, as_list, as_dict, Box, Open)))
    | st.builds(shared, st.sampled_from((3, 10)))
    | deep
)
keys = text | st.integers() | st.none() | st.builds(HOSTILE[str], text) | st.builds(HOSTILE[int], st.integers())


def wrapped(inner):
    items = st.lists(inner, max_size=3)
    pairs = st.dictionaries(text, inner, max_size=3)
    return (
        items
        | items.map(tuple)
        | st.lists(st.tuples(keys, inner), max_size=3).map(dict)
        | st.builds(Pair, inner, inner)
        | st.builds(Box, inner)
        | st.builds(Open, inner)
        | st.builds(Model, inside=inner, more=inner)
        | st.builds(HOSTILE[list], items)
        | st.builds(HOSTILE[tuple], items)
        | st.builds(HOSTILE[dict], pairs)
        | st.builds(collections.deque, items)
        | st.builds(collections.UserDict, pairs)
        | st.builds(collections.OrderedDict, pairs)
        | st.builds(Document, page_content=text, metadata=pairs)
    )


values = st.recursive(leaves, wrapped, max_leaves=6)


@given(values)
@settings(max_examples=120, deadline=None)
def main(value):
    """Map a value by every way that leads to a serializer."""
    json.loads(payload.to_json(value))
    json.loads(payload.to_json({"around": [value, (value,)]}))
    structured(payload.inputs(value))
    payload.tool_result(value)
    attempt(payload.documents, [value, Document("x", metadata={"score": value})], default={})
    message = AIMessage("", response_metadata={"token_usage": {"prompt_tokens": value}, "model_name": value})
    message.content = [value, {"type": "text", "text": value}, {"type": "image", "source": value}]
    message.usage_metadata = {"input_tokens": value, "output_tokens": value, "total_tokens": value}
    attempt(usage, message, {"token_usage": value}, default={})
    generation = ChatGeneration(message=AIMessage(""))
    generation.message = message
    attempt(payload.output_messages, LLMResult(generations=[[generation]]), default={})
    attempt(payload.response_attributes, LLMResult(generations=[[generation]]), default={})


if __name__ == "__main__":
    main()
    gc.collect()
    rubbish = [bytes(size) for size in range(5000)]  # a heap that was written over shows it here
    print("alive")
