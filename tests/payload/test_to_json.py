"""Any value becomes JSON."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import itertools
import json
import pathlib
import subprocess
import sys
import types
import uuid
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue
from langgraph.types import Send
from pydantic import (
    BaseModel,
    Field,
    PlainSerializer,
    RootModel,
    SecretStr,
    computed_field,
    field_serializer,
    model_serializer,
)

from runspan.payload import clean, serialize, to_json


class Rude:
    """A value whose own code always fails."""

    def __repr__(self):
        raise RuntimeError

    @property
    def __class__(self):
        raise RuntimeError


class NoOffset(dt.tzinfo):
    """A time zone that fails; orjson would crash on it."""

    def utcoffset(self, _):
        raise RuntimeError


class Person(BaseModel):
    name: str
    key: SecretStr = SecretStr("sk-1")
    hidden: str = Field(default="x", exclude=True)
    friend: "Person | None" = None


@dataclasses.dataclass(slots=True)
class Box:
    inside: object
    unset: int = dataclasses.field(init=False)


class Color(enum.Enum):
    RED = "red"


class Itself(enum.Enum):
    A = 1

    @property
    def value(self):
        return self


class Level(enum.StrEnum):
    LOW = "low"


class Spent(Exception):  # noqa: N818  named for what it says
    """An error whose author leaves out what it holds."""

    def __repr__(self):
        return "<spent>"


class Purse(types.SimpleNamespace):
    """A namespace whose author leaves out what it holds."""

    def __repr__(self):
        return "<purse>"


SENT = '{"node":"next","arg":{"messages":[{"type":"ai","content":"hi"}]}}'
Point = collections.namedtuple("Point", "x y")  # noqa: PYI024  the untyped form is met too


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Grüße 😀", '"Grüße 😀"'),
        ({"a": [1, 1.5, None, True]}, '{"a":[1,1.5,null,true]}'),
        ({1: "one", None: 2, (1, 2): 3}, '{"1":"one","None":2,"(1, 2)":3}'),
        ([float("nan"), float("inf")], "[null,null]"),
        ([2**63, 2**64, -(2**64)], '[9223372036854775808,"18446744073709551616","-18446744073709551616"]'),
        (["\ud83d\ude00", "half \ud83d", {"\ud800": 1}], '["😀","half �",{"�":1}]'),
        ([{1}, frozenset([2]), collections.deque([3]), (4,), Point(5, 6)], "[[1],[2],[3],[4],[5,6]]"),
        ([b"text", bytearray(b"text"), b"\xff\xfe"], '["text","text","//4="]'),
        ((1, (2,)), "[1,[2]]"),
        (object.__new__(uuid.UUID), '"<unprintable UUID>"'),
        (Itself.A, '"<cycle>"'),
        ([Color.RED, Level.LOW, {Level.LOW: Color.RED}], '["red","low",{"low":"red"}]'),
        (fractions.Fraction(1, 2), "0.5"),
        (types.MappingProxyType({"a": decimal.Decimal("1.50")}), '{"a":"1.50"}'),
        (collections.UserDict(a=pathlib.PurePosixPath("/a")), '{"a":"/a"}'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ([dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.date(2026, 1, 2)], '["2026-01-02T00:00:00+00:00","2026-01-02"]'),
        (dt.datetime(2026, 1, 2, tzinfo=NoOffset()), '"<unprintable datetime>"'),
        (ValueError("no"), "\"ValueError('no')\""),
        (ValueError({"a": 1}), '{"ValueError":[{"a":1}]}'),
        (Spent({"key": "k-1"}), '"<spent>"'),
        (Purse(key="k-1"), '"<purse>"'),
        (types.SimpleNamespace(a=(1,)), '{"a":[1]}'),
        (Send("next", {"messages": [AIMessage("hi")]}), SENT),
        (Person, "\"<class 'test_to_json.Person'>\""),
        (Box([Box(1)]), '{"inside":[{"inside":1,"unset":null}],"unset":null}'),
        (
            Person(name="Ada"),
            """{"name":"Ada","key":"SecretStr('**********')","friend":null}""",
        ),
        (AIMessage("hi", id="m"), '{"type":"ai","content":"hi","id":"m"}'),
        (ToolMessage("4", tool_call_id="c"), '{"type":"tool","content":"4","tool_call_id":"c"}'),
    ],
)
def test_each_kind_of_value_has_its_form(value, expected):
    """What JSON knows is written as it is, other values in the nearest form or in words."""
    assert to_json(value) == expected


def test_a_prompt_keeps_its_messages():
    """The messages of a prompt's value keep their tool calls and what those answered."""
    call = {"name": "look", "args": {"x": 1}, "id": "call_1", "type": "tool_call"}
    value = ChatPromptValue(messages=[AIMessage("", tool_calls=[call]), ToolMessage("seen", tool_call_id="call_1")])
    assert json.loads(to_json(value)) == {
        "messages": [
            {"type": "ai", "content": "", "tool_calls": [call]},
            {"type": "tool", "content": "seen", "tool_call_id": "call_1"},
        ]
    }


def test_values_whose_own_code_fails_have_a_placeholder():
    """A value that can't even be printed is named by its class, as a value and as a key."""
    rude = Rude()
    assert to_json([rude, {rude: 10**5000}]) == '["<unprintable Rude>",{"<unprintable Rude>":"<unprintable int>"}]'


def test_cycles_are_named():
    """A value that holds itself, in whatever way, is written with the cycle named."""
    a = {"list": []}
    a["list"].append(a)
    a["box"] = Box(a)
    assert to_json(a) == '{"list":["<cycle>"],"box":{"inside":"<cycle>","unset":null}}'


def test_a_value_that_appears_twice_is_no_cycle():
    """A shared value is written wherever it stands."""
    shared = [object]
    assert to_json([shared, shared]) == "[[\"<class 'object'>\"],[\"<class 'object'>\"]]"


def test_a_model_that_holds_itself_is_written():
    """A pydantic model that holds itself is written with the cycle named."""
    ada = Person(name="Ada")
    ada.friend = ada
    assert to_json(ada) == """{"name":"Ada","key":"SecretStr('**********')","friend":"<cycle>"}"""


class Masked(BaseModel):
    """A model that says itself how some of its fields are written."""

    number: str
    plain: str = "p"
    annotated: Annotated[str, PlainSerializer(lambda _: "***")] = "secret"

    @field_serializer("number")
    def _last_four(self, value):
        return value[-4:]

    @computed_field
    def length(self) -> int:
        return len(self.number)


class Whole(BaseModel):
    """A model that says itself how all of it is written."""

    number: str

    @model_serializer
    def _masked(self):
        return {"masked": True}


def test_what_a_model_makes_of_itself_is_written():
    """Serializers and computed fields of a model count; a root model is what it holds."""
    told = {"number": "4242", "plain": "p", "annotated": "***", "length": 8}
    assert json.loads(to_json([Masked(number="00004242"), Whole(number="1"), RootModel[list[int]]([1])])) == [
        told,
        {"masked": True},
        [1],
    ]


def test_a_field_keeps_what_its_value_has():
    """A field typed by a base class is written with all that the value in it has."""

    class State(BaseModel):
        messages: list[BaseMessage]
        one: BaseModel

    call = {"name": "add", "args": {"a": 1}, "id": "call_1", "type": "tool_call"}
    messages = [AIMessage("", tool_calls=[call]), ToolMessage("3", tool_call_id="call_1")]
    state = State(messages=messages, one=Person(name="Ada"))
    assert json.loads(to_json(state)) == json.loads(to_json({"messages": messages, "one": Person(name="Ada")}))
    assert json.loads(to_json(state))["messages"][1]["tool_call_id"] == "call_1"


def test_depth_is_bounded():
    """What is nested deeper than a hundred levels is named, whatever it is nested in."""
    for wrap, left, right in ((lambda value: [value], "[", "]"), (lambda value: (value,), "[", "]")):
        deep = 1
        for _ in range(5000):
            deep = wrap(deep)
        assert to_json(deep) == left * 100 + '"<too deep>"' + right * 100


def test_size_is_bounded():
    """What takes a million bytes is written whole; of more the rest is left out, visibly."""
    wide = [[1] * 1000] * 300
    assert json.loads(to_json(wide)) == wide
    doubled = [1]
    for _ in range(40):
        doubled = [doubled, doubled]
    assert len(to_json(doubled)) <= serialize.DEFAULT_ROOM
    *kept, note = json.loads(to_json([0] * 3_000_000))
    assert note == f"… [{3_000_000 - len(kept):,} items left out]"


def test_subclasses_of_collections_are_read_by_their_storage():
    """What a list, tuple, set, deque or dictionary holds is written without its own code, which may never end."""

    def endless(*_):
        return itertools.count()

    for base, expected in ((list, "[1]"), (tuple, "[1]"), (set, "[1]"), (collections.deque, "[1]")):
        kind = type("Endless", (base,), {"__iter__": endless, "__len__": endless, "__reversed__": endless})
        assert to_json(kind([1])) == expected
    kind = type("Endless", (dict,), {"__iter__": endless, "items": endless, "keys": endless, "values": endless})
    assert to_json(kind(a=1)) == '{"a":1}'


def test_arrays_are_lists():
    """NumPy's arrays and numbers are written as Python's; one of more than ten thousand numbers in words."""
    values = [np.array([[1, 2]]), np.float32(0.5), np.int64(3), np.bool_(True), np.array([Color.RED], dtype=object)]
    assert to_json(values) == '[[[1,2]],0.5,3,true,["red"]]'
    assert to_json(np.zeros(20_000)).startswith('"array([0., 0.,')


def test_fields_without_a_repr_are_left_out():
    """What the author of a dataclass or a model keeps out of its repr is kept out of spans."""

    @dataclasses.dataclass
    class Client:
        name: str
        key: str = dataclasses.field(default="sk-1", repr=False)

    class Connection(BaseModel):
        name: str
        key: str = Field(default="sk-1", repr=False)

    @dataclasses.dataclass
    class Around:
        inside: object

    class State(BaseModel, extra="allow"):
        clients: object

    told = [{"name": "a"}, {"name": "a"}]
    both = [Client("a"), Connection(name="a")]
    assert json.loads(to_json(both)) == told
    state = State(clients={"both": (*both, 1)}, more=Around(both))
    assert json.loads(to_json(state)) == {"clients": {"both": [*told, 1]}, "more": {"inside": told}}


def test_no_value_ends_the_process():
    """No value, however odd, reaches a native serializer that dies of it or corrupts the memory."""
    program = Path(__file__).with_name("exotic_values.py")
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=110, check=False)
    assert ran.stdout == "alive\n", (ran.returncode, ran.stderr)


def test_a_description_is_bounded():
    """An object with an endless repr is cut."""

    class Endless:
        def __repr__(self):
            return "x" * 1_000_000

    assert 9_990 < len(to_json(Endless())) <= 10_002


@pytest.mark.parametrize(
    ("text", "expected"),
    [("plain", "plain"), ("Grüße 😀", "Grüße 😀"), ("\ud83d\ude00", "😀"), ("a\udc00b", "a\ufffdb")],
)
def test_clean_text_can_be_encoded(text, expected):
    """Halves of a character are joined, a half alone is replaced, all else stays."""
    assert clean(text) == expected


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | text | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
)
any_text = st.text(st.characters(), max_size=5)
any_values = st.recursive(
    st.none()
    | any_text
    | st.integers()
    | st.floats()
    | st.binary(max_size=5)
    | st.complex_numbers()
    | st.datetimes()
    | st.builds(Rude)
    | st.sampled_from([Rude, Color.RED, Level.LOW, ..., len]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(any_text | st.integers() | st.binary() | st.none(), inner, max_size=4)
        | st.builds(Box, inner)
        | st.tuples(inner, inner)
        | st.builds(collections.UserDict, st.dictionaries(any_text, inner, max_size=2))
    ),
)


@given(json_values)
def test_json_values_come_back_as_they_were(value):
    """What JSON can hold is read back unchanged, also when a neighbour needs the careful way."""
    assert json.loads(to_json(value)) == value
    assert json.loads(to_json([value, object])) == [value, "<class 'object'>"]


@given(any_values)
def test_anything_becomes_json(value):
    """Whatever it is, it becomes JSON in text that UTF-8 can encode."""
    written = to_json(value)
    written.encode()
    json.loads(written)
