"""Whatever stands in attributes, what can be read comes out as an event."""

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import LLMResult

from runspan import semconv
from runspan._guard import faults
from runspan.payload import Kind
from runspan.rebuild import SpanData, end_event, kind_of, start_event
from runspan.rebuild.facts import NAMES
from runspan.rebuild.recorded_response import recorded_response
from runspan.rebuild.span_data import from_json
from tests.rebuild.span_events import span_data

text = st.text(st.characters(), max_size=4)
scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(2**62, 2**66) | st.floats() | text | st.binary(max_size=3)
)
KEYS = """
    role parts content type text tool_calls id name arguments function message response uri modality finish_reason
    metadata messages inputs tags args kwargs
"""
WORDS_WITH_A_MEANING = """
    user assistant tool system thinking text tool_call tool_call_response reasoning blob uri image human ai stop
    application/json
"""
keys = text | st.sampled_from(KEYS.split())
words = st.sampled_from(WORDS_WITH_A_MEANING.split())
junk = st.recursive(
    scalars | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
)
parts = st.dictionaries(keys, junk, max_size=4) | junk
messages = st.lists(st.fixed_dictionaries({"role": words | junk, "parts": st.lists(parts, max_size=3) | junk}) | junk)


def as_json(value):
    """Write a value as JSON, or as the beginning of it."""
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


clean = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | words | st.text('ab[]{}"', max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys.filter(str.isascii), inner, max_size=4),
    max_leaves=8,
)
json = clean.map(as_json) | st.lists(
    st.fixed_dictionaries({"role": words, "parts": st.lists(clean, max_size=3)}), max_size=2
).map(as_json)
broken_json = st.builds(lambda whole, length: whole[:length], json, st.integers(0, 20))
values = junk | messages | json | broken_json

index = st.sampled_from(("0", "1", "10", "x", "", "²", "9" * 5000))
FLAT = (
    "gen_ai.prompt.{}.role",
    "gen_ai.prompt.{}.content",
    "gen_ai.prompt.{}.user",
    "gen_ai.prompt.{}",
    "gen_ai.prompt.{}.tool_calls.{}.name",
    "gen_ai.prompt.{}.tool_calls.{}.arguments",
    "gen_ai.prompt.{}.tool_calls",
    "gen_ai.completion.{}.role",
    "gen_ai.completion.{}.content",
    "gen_ai.completion.{}.finish_reason",
    "llm.input_messages.{}.message.role",
    "llm.input_messages.{}.message",
    "llm.input_messages.{}.message.contents.{}.message_content.type",
    "llm.input_messages.{}.message.contents.{}.message_content.text",
    "llm.input_messages.{}.message.contents.{}.message_content.image.image.url",
    "llm.input_messages.{}.message.contents.{}.message_content",
    "llm.input_messages.{}.message.tool_calls.{}.tool_call.function.name",
    "llm.input_messages.{}.message.tool_calls.{}.tool_call",
    "llm.output_messages.{}.message.content",
    "llm.output_messages.{}.message.function_call_name",
    "retrieval.documents.{}.document.content",
    "retrieval.documents.{}.document.metadata",
    "retrieval.documents.{}.document",
)
FURTHER = (
    semconv.OPERATION,
    semconv.RUN_TYPE,
    semconv.RUN_OUTCOME,
    semconv.INPUT_MESSAGES,
    semconv.OUTPUT_MESSAGES,
    semconv.TOOL_ARGUMENTS,
    semconv.TOOL_RESULT,
    semconv.QUERY,
    semconv.DOCUMENTS,
    semconv.INPUTS,
    semconv.OUTPUTS,
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "anthropic.tool_result.content",
    "openinference.span.kind",
    "llm.request.type",
    "traceloop.span.kind",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "input.value",
    "input.mime_type",
    "output.value",
    "output.mime_type",
)
NAMES = (*(name for names in NAMES for name in names), *FURTHER)
attributes = st.dictionaries(
    st.sampled_from(NAMES) | st.builds(str.format, st.sampled_from(FLAT), index, index), values, max_size=12
)
bodies = st.dictionaries(
    st.sampled_from(("role", "content", "message", "tool_calls", "id", "finish_reason", "exception.message"))
    | st.sampled_from(("gen_ai.event.content", "gen_ai.prompt", "gen_ai.completion", "exception.type")),
    values,
    max_size=4,
)
EVENTS = ("gen_ai.user.message", "gen_ai.tool.message", "gen_ai.assistant.message", "gen_ai.choice", "exception")
events = st.lists(
    st.tuples(st.sampled_from((*EVENTS, "gen_ai.content.prompt", "gen_ai.content.completion")), bodies), max_size=3
)
spans = st.builds(SpanData, text, attributes, events, st.none() | text)

ARGUMENTS = {
    "on_chain_start": (dict, object),
    "on_chat_model_start": (dict, list),
    "on_llm_start": (dict, list),
    "on_tool_start": (dict, str),
    "on_retriever_start": (dict, str),
    "on_chain_end": (object,),
    "on_llm_end": (LLMResult,),
    "on_tool_end": (object,),
    "on_retriever_end": (list,),
    **dict.fromkeys(("on_chain_error", "on_llm_error", "on_tool_error", "on_retriever_error"), (BaseException,)),
}
STARTS = {
    Kind.CHAIN: "on_chain_start",
    Kind.AGENT: "on_chain_start",
    Kind.GRAPH: "on_chain_start",
    Kind.PROMPT: "on_chain_start",
    Kind.PARSER: "on_chain_start",
    Kind.CHAT: "on_chat_model_start",
    Kind.COMPLETION: "on_llm_start",
    Kind.TOOL: "on_tool_start",
    Kind.RETRIEVER: "on_retriever_start",
}
ENDS = {kind: name.replace("_chat_model", "_llm").removesuffix("start") for kind, name in STARTS.items()}


def check(event, expected):
    """Check that an event has a name and arguments of the types that handlers rely on."""
    assert event.name in expected
    assert len(event.args) == len(ARGUMENTS[event.name])
    assert all(map(isinstance, event.args, ARGUMENTS[event.name]))
    assert all(isinstance(tag, str) for tag in event.kwargs["tags"])
    for value in event.args:
        assert repr(value)


@pytest.mark.parametrize("kind", Kind)
@settings(max_examples=20)
@given(span=spans)
@example(SpanData("", dict.fromkeys(NAMES, "\ud800"), [], "\ud800"))
@example(SpanData("", dict.fromkeys(NAMES, b"\xff"), []))
@example(SpanData("", dict.fromkeys(NAMES, 2.5), []))
@example(SpanData("", {semconv.INPUTS: "[" * 900 + "]" * 900, semconv.OUTPUTS: "[" * 2000}, []))
def test_any_span(kind, span):
    """Any value of any type gives an event of the right name with arguments of the right types, and no fault inside."""
    before = faults()

    start, end = start_event(kind, span), end_event(kind, span)

    check(start, [STARTS[kind]])
    assert (start.args[0]["lc"], type(start.args[0]["name"])) == (1, str)
    assert type(start.kwargs["metadata"]) is dict
    check(end, [f"{ENDS[kind]}end", f"{ENDS[kind]}error"])
    assert kind_of(span) in (None, *Kind)
    if start.name == "on_chat_model_start":
        assert all(isinstance(message, BaseMessage) for message in start.args[1][0])
    if end.name == "on_retriever_end":
        assert all(isinstance(document, Document) for document in end.args[0])
    assert faults() == before


def test_what_can_be_read_is():
    """What is broken does not cost the rest: one message of three, one count of two, the name."""
    span = span_data(
        gen_ai__operation__name="chat",
        gen_ai__request__model=7,
        gen_ai__response__model="gpt-5",
        gen_ai__usage__input_tokens="many",
        gen_ai__usage__output_tokens=3,
        gen_ai__input__messages=[5, {"role": "user", "parts": [{"type": "text", "content": "hi"}]}, None],
        gen_ai__output__messages='[{"role": "assist',
    )

    start, end = start_event(Kind.CHAT, span), end_event(Kind.CHAT, span)

    assert (start.args[0]["name"], start.args[1]) == ("gpt-5", [[HumanMessage("hi")]])
    message = end.args[0].generations[0][0].message
    assert message == AIMessage('[{"role": "assist', response_metadata={"model_name": "gpt-5"})
    assert end.args[0].llm_output == {"model_name": "gpt-5", "token_usage": {"completion_tokens": 3}}


def test_json_is_read_to_a_bounded_depth():
    """What JSON nests too deeply is cut; brackets that stand in texts nest nothing."""
    deep = from_json("[" * 70 + '{"a": 1}' + "]" * 70)
    for _ in range(64):
        (deep,) = deep
    assert deep == "<too deep>"
    harmless = {"code": "[{" * 70, "lists": [[each] for each in range(70)]}
    assert from_json(orjson.dumps(harmless).decode()) == harmless


def test_attributes_are_left_alone():
    """Reading flattened attributes changes none of them."""
    whole = {"role": "user"}
    span = SpanData("", {"gen_ai.prompt.0": whole, "gen_ai.prompt.0.content": "hi", "llm.request.type": "chat"})

    assert start_event(Kind.CHAT, span).args[1] == [[HumanMessage("hi")]]
    assert whole == {"role": "user"}


@pytest.mark.parametrize("absurd", [2**63 - 100, 2**70, -1, True, 2.5, "3"])
def test_what_is_no_count_is_no_usage(absurd):
    """A number of tokens that no call can have used is left out, also where a model's span gets it from its SDK's."""
    span = SpanData("", {"gen_ai.usage.input_tokens": absurd, "gen_ai.usage.output_tokens": 2})

    assert recorded_response(span) == {"gen_ai.usage.output_tokens": 2}
    assert end_event(Kind.CHAT, span).args[0].llm_output == {"token_usage": {"completion_tokens": 2}}
