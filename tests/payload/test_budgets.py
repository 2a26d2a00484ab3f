"""JSON within so many bytes: valid, the newest first, at the cost of what is kept."""

import collections
import json
from array import array
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.types import Send

from runspan import payload
from runspan.payload import to_json
from runspan.payload.serialize import Items, fitted
from runspan.payload.writer import Writer
from tests.payload.test_hostile_payloads import junk, messages, responses

rooms = st.integers(2, 400) | st.integers(400, 5_000)
long_texts = st.text(st.characters(), min_size=50, max_size=400)
values = st.recursive(
    junk | long_texts | st.binary(min_size=100, max_size=200),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(long_texts, inner, max_size=4),
    max_leaves=12,
)


@given(values, rooms)
def test_any_value_fits_any_room(value, room):
    """Whatever the value and the room are, the JSON is valid and takes no more bytes than that."""
    written = to_json(value, room)
    assert len(written.encode()) <= room
    json.loads(written)


@given(st.lists(messages, max_size=4), responses, st.integers(0, 3_000))
def test_attributes_fit_their_budget(asked, answered, room):
    """Attributes of messages and answers of any kind are within their budget, and valid JSON."""
    write = Writer(attribute_bytes=room)
    for attributes in (payload.input_messages(asked, write), payload.output_messages(answered, write)):
        for text in attributes.values():
            assert len(text.encode()) <= room
            json.loads(text)


@given(values, st.integers(0, 3_000))
def test_what_fits_is_whole(value, room):
    """A value that takes less than half of the room is written as it is without a limit."""
    whole = to_json(value)
    if len(whole.encode()) * 2 + 500 < room:
        assert to_json(value, room) == whole


def told(messages, room):
    return json.loads(payload.input_messages(messages, Writer(attribute_bytes=room))["gen_ai.input.messages"])


def test_the_newest_messages_and_the_system_prompt_survive():
    """Of a long conversation the system prompt and the newest messages are kept whole; a note counts the others."""
    conversation = [SystemMessage("Be brief."), *(HumanMessage(f"{number} {'word ' * 100}") for number in range(100))]
    kept = told(conversation, 6_000)
    assert kept[0] == {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}
    newest = [message["parts"][0]["content"] for message in kept[2:]]
    assert newest[-1] == conversation[-1].content
    assert newest[-2] == conversation[-2].content
    assert [text.split()[0] for text in newest] == [str(number) for number in range(100 - len(newest), 100)]
    assert len(newest) > 5
    left_out = len(conversation) - 1 - len(newest)
    assert kept[1] == {"role": "…", "parts": [{"type": "text", "content": f"… [{left_out} items left out]"}]}


def test_one_huge_text_costs_no_tool_call():
    """A text that is much too long is cut; roles, tool calls and other messages stay whole, and the note counts."""
    call = {"name": "look", "args": {"city": "Oslo"}, "id": "call_1", "type": "tool_call"}
    question = HumanMessage("What is in there? " * 10)
    answer = AIMessage("a" * 1_000_000, tool_calls=[call])
    result = ToolMessage("b" * 1_000_000, tool_call_id="call_1")
    kept = told([question, answer, result], 10_000)
    assert [message["role"] for message in kept] == ["user", "assistant", "tool"]
    assert kept[0]["parts"][0]["content"] == question.content
    text, asked = kept[1]["parts"]
    assert asked == {"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"city": "Oslo"}}
    assert kept[2]["parts"][0]["id"] == "call_1"
    beginning, _, note = kept[2]["parts"][0]["response"].partition("…")
    assert note == f" [{1_000_000 - len(beginning):,} characters left out]"
    assert len(beginning) > len(text["content"]) > 1_000


def test_what_is_left_over_goes_to_what_was_cut():
    """A text that is alone takes all the room there is."""
    assert len(to_json({"a": "x" * 10_000, "b": 1}, 5_000)) > 4_900
    assert len(to_json("ü" * 10_000, 5_000).encode()) > 4_900


class Counted(list):
    """A list that counts its items as somebody looks at them."""


class Item:
    """A value that counts how often one of its kind is described."""

    seen = 0

    def __repr__(self):
        Item.seen += 1
        return "item"


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        collections.deque,
        lambda items: dict(enumerate(items)),
        lambda items: {"rows": list(items)},
        lambda items: Items(list(items), lambda item: {"item": item}),
        lambda items: Items(list(items), lambda item: {"item": item}, newest_first=True),
        lambda items: HumanMessage(additional_kwargs={}, content="x").model_copy(update={"content": list(items)}),
    ],
)
def test_no_more_is_looked_at_than_is_kept(make):
    """Of a list of a million items no more are visited than the room could hold."""
    value = make([Item()] * 1_000_000)
    Item.seen = 0
    assert len(to_json(value, 2_000)) <= 2_000
    assert 0 < Item.seen < 500


@pytest.mark.parametrize(
    "make",
    [
        lambda items: dict.fromkeys(map(str, range(len(items))), items[0]).values(),
        lambda items: dict.fromkeys(range(len(items)), items[0]).items(),
        collections.UserList,
        lambda items: collections.ChainMap(dict.fromkeys(range(len(items)), items[0])),
        lambda items: [Send("node", {"values": items})],
        lambda items: [SimpleNamespace(values=items)],
        lambda items: [ValueError("no", items)],
        lambda items: [ExceptionGroup("no", [ValueError(items)])],
    ],
    ids=["values", "items", "UserList", "ChainMap", "Send", "SimpleNamespace", "error", "errors"],
)
def test_other_collections_are_read_as_lists_are(make):
    """Views of dictionaries and the like, whose repr has all that is in them, cost no more, and are JSON."""
    value = make([Item()] * 100_000)
    Item.seen = 0
    assert type(json.loads(to_json(value, 2_000))) is list
    assert 0 < Item.seen < 500


def test_arrays_and_views_are_lists():
    """Arrays and views become lists of what is in them, texts of another kind texts."""
    values = [array("i", [1, 2]), {"a": 1}.keys(), {"a": 1}.items(), collections.UserString("text")]
    assert json.loads(to_json(values)) == [[1, 2], ["a"], [["a", 1]], "text"]


def test_messages_that_are_left_out_are_not_looked_at():
    """Of a million messages no more are converted than the room could hold, the newest first."""
    converted = []

    class Watched(HumanMessage):
        def __getattribute__(self, name):
            if name == "content":
                converted.append(self)
            return super().__getattribute__(name)

    conversation = [Watched(f"message {number}") for number in range(1_000)] * 1_000
    converted.clear()
    payload.input_messages(conversation, Writer(attribute_bytes=2_000))
    assert 0 < len(converted) < 500
    assert converted[0] is conversation[-1]


@given(st.text(st.characters(), max_size=300), st.integers(0, 200))
def test_a_text_fits(text, room):
    """A text is whole if there is room, else it ends with how much was left out, and it is never larger."""
    kept = fitted(text, room, size=lambda each: len(each.encode()))
    assert len(kept.encode()) <= room
    if len(text.encode("utf-8", "replace")) * 3 <= room:
        assert kept == payload.clean(text)


@pytest.mark.parametrize("text", [json.dumps({"a": "x" * 500, "b": [1, 2]}), "word " * 100])
@pytest.mark.parametrize("room", [0, 1, 30, 100, 1_000])
def test_what_is_written_again_fits(text, room):
    """What was written under one name fits what is left for it under another, and JSON stays JSON."""
    again = Writer(attribute_bytes=room).again("again", text).get("again", "")
    assert len(again.encode()) <= room
    assert room < 1_000 or again == text
    if again and text.startswith("{"):
        json.loads(again)
    assert room < 100 or again


def test_arguments_that_are_json_as_a_text():
    """Arguments that LangChain gives as JSON are written digit for digit, and cut inside where there is no room."""
    text = '{"a": 1.50, "b": "' + "x" * 500 + '"}'
    assert payload.tool_arguments(None, text) == {"gen_ai.tool.call.arguments": text}
    cut = payload.tool_arguments(None, text, Writer(attribute_bytes=200))["gen_ai.tool.call.arguments"]
    assert len(cut.encode()) <= 200
    assert json.loads(cut)["a"] == 1.5


def test_what_begins_like_json_and_is_none_is_cut_as_a_text():
    """A result with a brace before it is cut at its end, and says how much went."""
    cut = payload.tool_result("{no json " * 100, Writer(attribute_bytes=200))["gen_ai.tool.call.result"]
    assert cut.startswith("{no json {no json")
    assert cut.endswith(" characters left out]")


@pytest.mark.parametrize("size", [99_999, 100_001, 5_000_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_that_are_too_many(kind, size):
    """Bytes beyond a hundred thousand are counted, not recorded, unless they are a medium; fewer are text or base64."""
    written = json.loads(to_json(kind(b"a" * size)))
    assert written == ("a" * size if size < 100_000 else f"<{size:,} bytes>")


def test_a_cut_result_that_is_json_stays_json():
    """A tool's result that is JSON as a text is cut inside; a plain text is cut at its end."""
    rows = json.dumps([{"name": f"row {number}"} for number in range(1_000)])
    cut = payload.tool_result(rows, Writer(attribute_bytes=3_000))["gen_ai.tool.call.result"]
    *kept, note = json.loads(cut)
    assert kept[0] == {"name": "row 0"}
    assert note == f"… [{1_000 - len(kept)} items left out]"
    plain = payload.tool_result("word " * 1_000, Writer(attribute_bytes=3_000))["gen_ai.tool.call.result"]
    assert plain.startswith("word word")
    assert plain.endswith(" characters left out]")
    assert len(plain.encode()) <= 3_000


def test_what_is_left_at_the_end_is_not_shared():
    """Of messages, an old one that would be cut to the last part of the room is left out, and the newest are whole."""
    kept = told([HumanMessage(f"{number} {'word ' * 100}") for number in range(100)], 30_000)
    assert all(message["parts"][0]["content"].endswith("word ") for message in kept if message["role"] == "user")
    assert len(json.dumps(kept)) > 28_000
