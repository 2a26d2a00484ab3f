"""Dictionaries of a few texts and numbers are written by a short way, and come to the same as by the walk."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runspan.payload.flat import flat_copy
from runspan.payload.serialize import to_json

TEXTS = st.text(st.characters(), max_size=60)  # also halves of characters
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.dictionaries(TEXTS, st.recursive(SCALARS, lambda inner: st.dictionaries(TEXTS, inner, max_size=4)))


def unchanged(text):
    """Redact nothing; with a redactor all is walked through."""
    return text


@given(VALUES)
def test_both_ways_come_to_the_same(value):
    """What has a redactor that changes nothing is written as what has none."""
    assert to_json(value) == to_json(value, redact=unchanged)


@given(VALUES, st.integers(2, 400))
def test_room_is_kept(value, room):
    """What is written takes no more than its room, whichever way it is written, and is JSON."""
    written = to_json(value, room)
    assert len(written.encode()) <= room
    json.loads(written)


@pytest.mark.parametrize(
    "value",
    [
        {"data": "a"},
        {"key": b"bytes"},
        {"key": ["list"]},
        {1: "number"},
        {"key": 2**70},
        {"key": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"},
        {"key": "long" * 100},
        {"one": {"two": {"three": "deep"}}},
        {f"key {number}": number for number in range(30)},
    ],
    ids=["medium", "bytes", "list", "key", "integer", "url", "long", "deep", "many"],
)
def test_others_are_walked_through(value):
    """What may have to be cut, replaced or described is not copied by the short way."""
    assert flat_copy(value, 100) is None


def test_a_copy_is_made():
    """What is written can't be changed meanwhile by another thread."""
    call = {"type": "tool_call", "arguments": {"key": 1, "share": math.pi, "is_new": True, "note": None}}
    copy = flat_copy(call, 100)
    assert copy == call
    assert copy is not call
    assert copy["arguments"] is not call["arguments"]
