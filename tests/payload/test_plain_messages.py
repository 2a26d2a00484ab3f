"""Messages that are JSON as they are, and come to the same as by the walk through them."""

import json
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompt_values import ChatPromptValue

from runspan import payload
from runspan.payload import messages as of_messages
from runspan.payload.plain_messages import plain_message
from runspan.payload.serialize import to_json
from runspan.payload.writer import UNLIMITED, Writer
from tests.payload.test_hostile_payloads import calls, junk, messages, responses

TEXTS = st.text(st.characters(), max_size=60) | st.sampled_from(("a; b = '\\x", "[1]", '{"a": 1}', "iVBORw0KGgo" * 9))
NAMES = st.none() | TEXTS
BESIDE = st.sampled_from(({}, {"refusal": None}, {"refusal": "No."}, {"reasoning_content": "Well."}))
PLAIN = (
    st.builds(HumanMessage, TEXTS, name=NAMES)
    | st.builds(SystemMessage, TEXTS, name=NAMES)
    | st.builds(ToolMessage, TEXTS, tool_call_id=TEXTS, name=NAMES, id=NAMES)
    | st.builds(AIMessage, TEXTS, name=NAMES, tool_calls=st.lists(calls, max_size=3), additional_kwargs=BESIDE)
    # Of halves of surrogates pydantic 2.9 makes no chunk's id.
    | st.builds(AIMessageChunk, content=TEXTS, id=st.none() | st.text(st.characters(exclude_categories=["Cs"])))
)
REDACT = Writer(redactors=[lambda text, _: text.replace("a", "****")])


def walked(describe, *given):
    """Return what comes of a walk through all messages, none of which is taken for plain."""
    with (
        mock.patch.object(of_messages, "plain_message", none),
        mock.patch.object(of_messages, "plain_answer", none),
        one_by_one(),
    ):
        return describe(*given)


def none(value, redact=None):
    return None


def one_by_one():
    """Write no messages at once."""
    return mock.patch.object(of_messages, "plain_texts", return_value=(b"", 0))


@given(st.lists(PLAIN | messages, max_size=20))
def test_both_ways_come_to_the_same(conversation):
    """A conversation is written as if each of its messages were walked through."""
    for write in (UNLIMITED, REDACT):
        written = payload.input_messages(conversation, write)
        assert written == walked(payload.input_messages, conversation, write)


@given(
    st.lists(PLAIN | messages | st.builds(HumanMessage, st.text(max_size=400)), max_size=60), st.integers(500, 20_000)
)
@example([HumanMessage("a" * 100)] * 60, 4_000)
@example([HumanMessage(f"message {number}") for number in range(250)], 20_000)
@example([*[HumanMessage("a" * 100)] * 30, HumanMessage([{"type": "text", "text": "b"}]), HumanMessage("c")], 4_000)
def test_as_many_as_fit_are_taken_at_once(conversation, room):
    """What is written of a conversation for which there is no room is what comes of it message by message."""
    written = payload.input_messages(conversation, Writer(attribute_bytes=room))
    with one_by_one():
        assert written == payload.input_messages(conversation, Writer(attribute_bytes=room))


class Derived(HumanMessage):
    """A message of a user's own class."""


# What stands for the text of JSON between two messages while they are written; media; halves of characters.
ODD = st.sampled_from(
    ("\x7f^~|`@#$&%", "\x7f", "^~", "\ud83d", "\n" * 50, '"}]},{"role":"', "é", "蛍" * 30, "x='1'; 64,")
)
LONG = st.text(st.sampled_from('ab "\\\n'), max_size=500)
ALONE = (
    st.builds(HumanMessage, LONG | ODD | TEXTS, name=st.none() | st.sampled_from(("ann", "a^b~", "\ud83d", "J" * 50)))
    | st.builds(AIMessage, LONG | ODD, name=NAMES, additional_kwargs=BESIDE)
    | st.builds(SystemMessage, LONG)
)
OTHERS = (
    PLAIN
    | messages
    | st.builds(Derived, LONG)
    | st.sampled_from((HumanMessage, AIMessage)).map(lambda kind: kind.__new__(kind))
    | st.builds(HumanMessage, st.just("data:image/png;base64," + "iVBORw0KGgo" * 9))
)


@given(st.lists(ALONE, max_size=40), st.lists(ALONE | OTHERS, max_size=40), st.integers(1, 4), st.integers(500, 60_000))
@example([HumanMessage("\x7f" * 40)] * 40, [AIMessage("^" * 40)] * 40, 2, 60_000)
@example([HumanMessage("蛍" * 100)] * 40, [AIMessage("蛍" * 100)] * 40, 2, 20_000)
@example([HumanMessage("a" * 90)] * 40, [HumanMessage("a" * 900)] * 4, 4, 20_000)
@example([HumanMessage("\\", name="\ud83d"), AIMessage("\ud83d"), HumanMessage("")] * 2, [], 2, 1_009)
@example([HumanMessage("a", name="\x01" * 39)] * 9, [HumanMessage("a", name="b" * 900)] * 3, 1, 4_000)
@example([HumanMessage("a"), AIMessage("b", name="\x7f")] * 20, [HumanMessage("\x7f", name="^")], 1, 20_000)
@example([HumanMessage("a", name=f"name {number}") for number in range(40)], [], 1, 20_000)
def test_a_long_conversation_is_the_same_at_once(texts, others, times, room):
    """What is written at once of a long conversation, whatever is among it, is what comes of it message by message."""
    for conversation in ((texts + others) * times, (others + texts) * times):
        written = payload.input_messages(conversation, Writer(attribute_bytes=room))
        with one_by_one():
            assert written == payload.input_messages(conversation, Writer(attribute_bytes=room))


def test_a_medium_is_found_in_a_conversation_of_any_length():
    """A conversation that is longer than what is searched of a text has references in place of media nevertheless."""
    image = HumanMessage("Look: data:image/png;base64," + "iVBORw0KGgo" * 9)
    others = [HumanMessage("a" * 10_000)] * 120
    written = payload.input_messages([*others, image, *others], Writer(attribute_bytes=10_000_000))
    assert len(json.loads(written["gen_ai.input.messages"])) == 241
    assert "base64" not in written["gen_ai.input.messages"]


@given(st.lists(PLAIN, min_size=1, max_size=3), st.none() | TEXTS)
def test_so_do_answers(found, reason):
    """A model's answers are written as if each were walked through, also with the reason why they ended."""
    generations = [[ChatGeneration(message=each, generation_info={"finish_reason": reason}) for each in found]]
    response = LLMResult(generations=generations)
    assert payload.output_messages(response) == walked(payload.output_messages, response)


@given(responses)
def test_so_do_answers_of_any_kind(response):
    """It is the same with answers that have anything in them."""
    assert payload.output_messages(response) == walked(payload.output_messages, response)


@given(PLAIN | messages | st.builds(ChatPromptValue, messages=st.lists(PLAIN, max_size=3)))
def test_so_do_messages_that_are_values(value):
    """A message among the inputs or outputs of a chain is written as if it were walked through."""
    for each in (value, {"messages": [value], "number": 1}, [[value, {}]]):
        assert to_json(each) == to_json(each, redact=lambda text: text)


@given(
    st.sampled_from((HumanMessage, AIMessage, AIMessageChunk, SystemMessage, ToolMessage, ChatPromptValue)), st.data()
)
def test_fields_of_other_types_are_the_walks(kind, data):
    """A message that was changed to hold anything, or that lacks fields, is written as by the walk."""
    names = ("content", "name", "id", "tool_calls", "tool_call_id", "additional_kwargs", "messages")
    message = kind.model_construct()
    vars(message).update(data.draw(st.dictionaries(st.sampled_from(names), junk)))
    for written, expected in (
        (to_json(message), to_json(message, redact=lambda text: text)),
        (payload.input_messages([message]), walked(payload.input_messages, [message])),
    ):
        assert written == expected


@given(
    st.lists(st.builds(HumanMessage, st.text(st.characters(), min_size=1, max_size=400)), max_size=60),
    st.integers(500, 9_000),
)
@example([HumanMessage("a" * 100)] * 60, 4_000)
def test_room_is_kept(conversation, room):
    """What there is no room for is left out or cut, the newest last, and what is written is JSON within its room."""
    written = payload.input_messages(conversation, Writer(attribute_bytes=room)).get("gen_ai.input.messages", "[]")
    assert len(written.encode()) <= room
    whole = json.loads(payload.input_messages(conversation)["gen_ai.input.messages"])
    kept = [message for message in json.loads(written) if message.get("role") != "…"]
    is_cut = any("left out]" in str(message) for message in json.loads(written))
    assert is_cut or kept == whole


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("What?"),
        SystemMessage("Be brief.", name="system"),
        AIMessage(
            "", tool_calls=[{"name": "look", "args": {"at": 1}, "id": "call_1"}], additional_kwargs={"refusal": None}
        ),
        ToolMessage("It is blue.", tool_call_id="call_1", name="look"),
        AIMessageChunk(content="Ünïcode"),
    ],
    ids=lambda message: message.type,
)
def test_which_are_plain(message):
    """The messages of an ordinary conversation with tools are written the short way."""
    assert plain_message(message) == walked(payload.input_messages, [message])["gen_ai.input.messages"][1:-1].encode()


def without_late_name(message):
    return message.model_copy(update={"name": None}) if isinstance(message, AIMessage) else message


@given(st.lists(PLAIN | messages, min_size=2, max_size=2))
def test_a_hash_stands_for_what_is_recorded(pair):
    """Messages have one hash if they are alike, and only if spans would have the same of them, late names apart."""
    one, other = pair
    assert (
        payload.message_hash(one)
        == payload.message_hash(without_late_name(one))
        == payload.message_hash(one.model_copy())
    )
    if payload.message_hash(one) == payload.message_hash(other):
        assert payload.input_messages([without_late_name(one)]) == payload.input_messages([without_late_name(other)])


@given(st.sampled_from((HumanMessage, AIMessage, SystemMessage, ToolMessage)), st.data())
def test_any_message_has_a_hash(kind, data):
    """A message that lacks fields, or has anything in them, has a hash, which is that of the same once more."""
    message = kind.model_construct()
    vars(message).update(
        data.draw(st.dictionaries(st.sampled_from(("content", "name", "tool_calls", "tool_call_id")), junk))
    )
    assert payload.message_hash(message) == payload.message_hash(message)
