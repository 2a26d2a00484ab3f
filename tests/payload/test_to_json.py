"""Any value becomes JSON."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import pathlib
import types
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue
from pydantic import BaseModel, Field, SecretStr

from runspan.payload import clean, to_json


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


class Level(enum.StrEnum):
    LOW = "low"


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
        ([Color.RED, Level.LOW, {Level.LOW: Color.RED}], '["red","low",{"low":"red"}]'),
        (fractions.Fraction(1, 2), "0.5"),
        (types.MappingProxyType({"a": decimal.Decimal("1.50")}), '{"a":"1.50"}'),
        (collections.UserDict(a=pathlib.PurePosixPath("/a")), '{"a":"/a"}'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ([dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.date(2026, 1, 2)], '["2026-01-02T00:00:00+00:00","2026-01-02"]'),
        (dt.datetime(2026, 1, 2, tzinfo=NoOffset()), '"<unprintable datetime>"'),
        (ValueError("no"), "\"ValueError('no')\""),
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


def test_a_model_that_holds_itself_is_described():
    """A pydantic model that can't be dumped is told by its repr."""
    ada = Person(name="Ada")
    ada.friend = ada
    assert to_json(ada).startswith("\"Person(name='Ada', key=SecretStr('**********')")


def test_depth_and_size_are_bounded_only_where_a_copy_is_made():
    """Plain JSON is written whole; a copy of what is not is cut, visibly."""
    wide = [[1] * 1000] * 300
    assert json.loads(to_json(wide)) == wide
    cut = json.loads(to_json([*wide, object]))
    assert sum(map(len, cut)) < 101_000
    assert cut[-1] == "<cut>"
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert to_json(deep) == "[" * 64 + '"<too deep>"' + "]" * 64


def test_a_description_is_bounded():
    """An object with an endless repr is cut."""

    class Endless:
        def __repr__(self):
            return "x" * 1_000_000

    assert len(to_json(Endless())) == 10_002


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
