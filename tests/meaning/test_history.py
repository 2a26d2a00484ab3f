"""Conversations of which each message is recorded once: ``Settings(history="new")``."""

import asyncio
import json

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from numpy import arange
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import format_span_id

import runspan
from runspan import Settings
from tests.fakes import Model
from tests.tracing import Tracing

TURNS = 20
REPLY = "reply " * 167  # 1,000 characters


class Caller(Model):
    """Asks for a tool as often as it has turns, then answers."""

    turns: int = 2

    def _message(self, messages):
        results = sum(isinstance(message, ToolMessage) for message in messages)
        if results == self.turns:
            return AIMessage("done")
        return AIMessage(REPLY, tool_calls=[{"name": "look_up", "args": {"key": results}, "id": f"call {results}"}])


@tool
def look_up(key: int) -> str:
    """Look something up."""
    return f"{key} is found"


def traced(history, invoke, **options):
    tracing = Tracing(Settings(history=history, **options))
    invoke(tracing)
    return tracing


def run_agent(tracing, turns=2):
    agent = create_agent(Caller(turns=turns), [look_up], system_prompt="Be brief.", name="finder")
    agent.invoke({"messages": "Find it."}, {**tracing.config, "recursion_limit": 99})


def models(tracing):
    return sorted((span for span in tracing.spans if span.name.startswith("chat")), key=lambda span: span.start_time)


def read(span):
    """Return how many earlier messages there are, the span that has them, and the role and first part of the others."""
    attributes = span.attributes
    messages = json.loads(attributes["gen_ai.input.messages"])
    return (
        attributes.get("runspan.history.messages", 0),
        attributes.get("runspan.history.span_id"),
        [(message["role"], message["parts"][0]) for message in messages],
    )


def test_each_call_of_an_agent_has_what_is_new():
    """The first call has system prompt and question, each later one the result of the tool alone, and refers to the
    call before it, whose own messages and answer come first."""
    tracing = traced("new", run_agent)
    first, second, third = models(tracing)
    text = {"type": "text"}
    assert read(first) == (
        0,
        None,
        [("system", {**text, "content": "Be brief."}), ("user", {**text, "content": "Find it."})],
    )
    response = {"type": "tool_call_response"}
    assert read(second) == (
        3,
        format_span_id(first.context.span_id),
        [("tool", {**response, "id": "call 0", "response": "0 is found"})],
    )
    assert read(third) == (
        5,
        format_span_id(second.context.span_id),
        [("tool", {**response, "id": "call 1", "response": "1 is found"})],
    )


def test_streamed_answers_are_known_again():
    """What a model streamed is the message that the next call reads, though it is of another class."""

    def stream(tracing):
        agent = create_agent(Caller(turns=2), [look_up])
        assert list(agent.stream({"messages": "Find it."}, tracing.config, stream_mode="messages"))

    assert [read(span)[0] for span in models(traced("new", stream))] == [0, 2, 4]


def test_full_is_the_default():
    """Without the setting each call has the whole conversation."""
    tracing = Tracing()
    run_agent(tracing)
    assert [len(read(span)[2]) for span in models(tracing)] == [2, 4, 6]
    assert all("runspan.history.messages" not in span.attributes for span in tracing.spans)


@pytest.mark.parametrize(("history", "most"), [("new", 90_000), ("full", 350_000)])
def test_bytes_of_an_agent_of_twenty_turns(history, most):
    """Twenty turns with replies of 1,000 characters stay within what they are meant to take, the root's question and
    answer included."""
    tracing = traced(history, lambda tracing: run_agent(tracing, TURNS))
    (root,) = (span for span in tracing.spans if span.parent is None)
    assert json.loads(root.attributes["gen_ai.input.messages"])[0]["parts"][0]["content"] == "Find it."
    assert json.loads(root.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == "done"
    assert len(tracing.spans) > 4 * TURNS
    assert encode_spans(tracing.spans).ByteSize() <= most


class Heard(BaseCallbackHandler):
    """Keeps what models read, as texts."""

    def __init__(self):
        self.read = []

    def on_chat_model_start(self, serialized, messages, **kwargs):
        self.read.append([(message.type, message.text) for message in messages[0]])


def test_handlers_and_recordings_have_whole_messages():
    """Callback handlers of the invocation, and those that a recording drives, get the same with both settings."""
    heard = {}
    for history in ("full", "new"):
        live, replayed = Heard(), Heard()
        tracing = Tracing(Settings(history=history))
        handler = runspan.OpenTelemetryCallbackHandler(
            tracer_provider=tracing.provider, settings=Settings(history=history), callbacks=[live]
        )
        agent = create_agent(Caller(turns=3), [look_up], system_prompt="Be brief.")
        agent.invoke({"messages": "Find it."}, {"callbacks": [handler]})
        runspan.replay(tracing.spans, callbacks=[replayed])
        heard[history] = live.read
        assert replayed.read == live.read
    assert heard["new"] == heard["full"]
    assert [len(messages) for messages in heard["new"]] == [2, 4, 6, 8]


def test_a_recording_without_the_earlier_span_has_what_there_is():
    """Where the span that is referred to is missing, or its number makes no sense, the new messages are read."""
    tracing = traced("new", run_agent)
    replayed = Heard()
    runspan.replay(models(tracing)[1:], callbacks=[replayed])
    assert replayed.read == [[("tool", "0 is found")], [("tool", "1 is found")]]


async def test_conversations_side_by_side():
    """Of two conversations in one trace each goes on with its own calls."""
    tracing = Tracing(Settings(history="new"))
    model = Model()

    async def converse(name):
        messages = [SystemMessage(f"You are {name}."), HumanMessage("hello")]
        for _ in range(3):
            messages.append(await model.ainvoke(messages))
            messages.append(HumanMessage("and?"))
            await asyncio.sleep(0)

    both = RunnableParallel(
        one=RunnableLambda(lambda _: None, afunc=lambda _: converse("one")),
        two=RunnableLambda(lambda _: None, afunc=lambda _: converse("two")),
    )
    await both.ainvoke({}, tracing.config)
    spans = {format_span_id(span.context.span_id): span for span in models(tracing)}

    def first_text(span):
        count, before, messages = read(span)
        return first_text(spans[before]) if count else messages[0][1]["content"]

    assert sorted(read(span)[0] for span in spans.values()) == [0, 0, 3, 3, 5, 5]
    assert sorted(map(first_text, spans.values())) == ["You are one."] * 3 + ["You are two."] * 3


def test_what_is_asked_again_shows_its_last_message():
    """A call with the same messages as one before has its last one all the same."""
    tracing = Tracing(Settings(history="new"))
    messages = [SystemMessage("Be brief."), HumanMessage("hello")]

    def twice(_):
        model = Model()
        return [model.invoke(messages), model.invoke(messages)]

    RunnableLambda(twice).invoke(1, tracing.config)
    first, second = map(read, models(tracing))
    assert (first[0], second[0]) == (0, 1)
    assert second[2] == [("user", {"type": "text", "content": "hello"})]


def test_a_changed_message_is_new():
    """A message whose text differs from that of an earlier call is recorded, with all after it."""
    tracing = Tracing(Settings(history="new"))

    def edit(_):
        model = Model()
        model.invoke([SystemMessage("Be brief."), HumanMessage("hello", id="1"), HumanMessage("x")])
        model.invoke([SystemMessage("Be brief."), HumanMessage("hello!", id="1"), HumanMessage("x")])

    RunnableLambda(edit).invoke(1, tracing.config)
    _, second = map(read, models(tracing))
    assert (second[0], len(second[2])) == (1, 2)


class Incomparable(dict):
    """A block that can't be compared."""

    __hash__ = None

    def __eq__(self, other):
        raise ArithmeticError


def read_two(first, second, change=lambda message: None, **options):
    """Return what two calls in one trace have of a message each, and of one more in the second."""
    tracing = Tracing(Settings(history="new", **options))

    def twice(_):
        model = Model()
        model.invoke([SystemMessage("Be brief."), first])
        change(first)
        model.invoke([SystemMessage("Be brief."), second, HumanMessage("next")])

    RunnableLambda(twice).invoke(1, tracing.config)
    _, (count, _, messages) = map(read, models(tracing))
    return count, [first_part.get("content") for _, first_part in messages]


def set_content(message):
    message.content = "edited"


def set_text(message):
    message.content[0]["text"] = "edited"


@pytest.mark.parametrize(("content", "change"), [("text", set_content), ([{"type": "text", "text": "a"}], set_text)])
def test_a_message_that_is_edited_itself_is_new(content, change):
    """A message that the application changes after a call is recorded again, though it is the same object."""
    message = HumanMessage(content)
    assert read_two(message, message, change) == (1, ["edited", "next"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (HumanMessage("a", name="one"), HumanMessage("a", name="two")),
        (ChatMessage("a", role="critic"), ChatMessage("a", role="judge")),
        (
            AIMessage("", additional_kwargs={"reasoning_content": "a"}),
            AIMessage("", additional_kwargs={"reasoning_content": "b"}),
        ),
        (
            AIMessage("", invalid_tool_calls=[{"name": "a", "args": "{", "id": "1", "error": None}]),
            AIMessage("", invalid_tool_calls=[{"name": "a", "args": "[", "id": "1", "error": None}]),
        ),
    ],
)
def test_what_is_compared_is_what_spans_have(first, second):
    """A message that differs in anything that is recorded of it is new."""
    assert read_two(first, second)[0] == 1


@pytest.mark.parametrize(
    "make", [lambda: Incomparable(type="text", text="a", x=1), lambda: {"type": "x", "x": arange(3)}]
)
def test_messages_that_cannot_be_compared(make):
    """Blocks whose ``==`` raises, or is no truth value, are recorded, and known again."""
    first, second = HumanMessage(""), HumanMessage("")
    first.content, second.content = [make()], [make()]
    assert read_two(first, second) == (2, ["next"])


def test_messages_that_there_was_no_room_for_are_not_referred_to():
    """Where a span had to leave messages out, nothing counts on the others: their numbers would be wrong."""
    tracing = Tracing(Settings(history="new", max_attribute_bytes=3000))
    messages = [HumanMessage(f"{number}" * 300) for number in range(30)]

    def twice(_):
        model = Model()
        model.invoke(messages)
        model.invoke([*messages[:5], HumanMessage("next")])

    RunnableLambda(twice).invoke(1, tracing.config)
    first, second = map(read, models(tracing))
    assert (first[0], second[0]) == (0, 0)
    assert len(first[2]) < len(messages)
    assert len(second[2]) == 6


def test_messages_that_another_handler_forbids_are_not_referred_to():
    """Where a handler without content joined a call, the next one has what that one lost."""
    tracing = Tracing(Settings(history="new"))
    forbids = runspan.OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, settings=Settings(capture_content="none")
    )

    def twice(_, config):
        Model().with_config(callbacks=[forbids]).invoke([HumanMessage("one")], config)
        Model().invoke([HumanMessage("one"), HumanMessage("two")], config)

    RunnableLambda(twice).invoke(1, tracing.config)
    first, second = models(tracing)
    assert "gen_ai.input.messages" not in first.attributes
    assert [part["content"] for _, part in read(second)[2]] == ["one", "two"]


def test_a_recording_without_an_earlier_span_puts_nothing_wrong_together():
    """A span whose earlier messages are missing is none whose first messages are known."""
    tracing = Tracing(Settings(history="new"))

    def converse(_):
        model, messages = Model(), [HumanMessage("one"), HumanMessage("two")]
        model.invoke(messages)
        messages += [HumanMessage("three"), HumanMessage("four")]
        model.invoke(messages)
        model.invoke([*messages[:3], HumanMessage("other")])

    RunnableLambda(converse).invoke(1, tracing.config)
    _, *later = models(tracing)
    replayed = Heard()
    runspan.replay(later, callbacks=[replayed])
    assert [[text for _, text in messages] for messages in replayed.read] == [["three", "four"], ["other"]]


def test_a_trace_of_its_own_has_all():
    """Two invocations refer to nothing of each other."""
    tracing = Tracing(Settings(history="new"))
    for _ in range(2):
        Model().invoke([SystemMessage("Be brief."), HumanMessage("hello")], tracing.config)
    assert [(count, len(messages)) for count, _, messages in map(read, models(tracing))] == [(0, 2), (0, 2)]


def test_content_in_events_alone_is_whole():
    """Where spans have no content nothing refers to them."""
    tracing = traced("new", run_agent, capture_content="event")
    assert all("runspan.history.messages" not in span.attributes for span in tracing.spans)
