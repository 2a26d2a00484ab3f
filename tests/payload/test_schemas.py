"""What is emitted, checked against the schemas of the GenAI conventions (``data/genai_schemas.json``).

The schemas say what section "Content" of the conventions asks for; a part with the name of one of theirs has its form.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from runspan.payload import (
    documents,
    input_messages,
    input_prompts,
    output_messages,
    root_values,
    state_inputs,
    state_outputs,
    tool_arguments,
)
from runspan.payload.media import MODALITIES
from runspan.payload.request_content import request_content
from runspan.payload.server_tools import SERVER_PARTS
from runspan.payload.tools import tool_definitions
from runspan.payload.writer import Writer
from tests.payload import test_messages, test_tools

SCHEMAS = json.loads((Path(__file__).parent / "data" / "genai_schemas.json").read_text())


def problems(attributes):
    """Return in which ways attributes differ from their schemas."""
    found = []
    for name, written in attributes.items():
        validator = Draft202012Validator({**SCHEMAS, "$ref": f"#/$defs/{name}"})
        found += [error.message for error in validator.iter_errors(json.loads(written))]
    return found


def cases_of(test, position=0):
    """Return the given values of a parametrised test."""
    (mark,) = (mark for mark in test.pytestmark if mark.name == "parametrize")
    return [getattr(case, "values", case)[position] for case in mark.args[1]]


MESSAGES = [
    *cases_of(test_messages.test_each_class_has_its_role),
    *cases_of(test_messages.test_each_provider_s_blocks_become_parts),
    *(HumanMessage([block]) for block in cases_of(test_messages.test_media_become_file_or_uri)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_of_providers(message):
    """Every message of the tables fits the schema, as what is sent and, from a model, as what is answered."""
    assert problems(input_messages([message])) == []
    if isinstance(message, AIMessage):
        generation = ChatGeneration(message=message, generation_info={"finish_reason": "stop"})
        assert problems(output_messages(LLMResult(generations=[[generation]]))) == []


def test_prompts():
    """A prompt fits the schema too."""
    assert problems(input_prompts(["1 + 2 =", ""])) == []


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(
    "given_params",
    [
        *cases_of(test_tools.test_functions),
        {"tools": cases_of(test_tools.test_tools_that_are_no_functions_of_ours)},
    ],
)
def test_tool_definitions(given_params, full):
    """Every tool of the tables fits the schema, with its parameters and without."""
    assert problems(tool_definitions(given_params, full=full)) == []


def test_documents():
    """Documents fit the schema, also those that are cut or left out."""
    found = [Document("a", id="1", metadata={"score": 0.5}), (Document("b" * 10_001), 0.4), *[Document("c")] * 100]
    assert problems(documents(found)) == []


@pytest.mark.parametrize(("inputs", "input_str"), [({"city": "Oslo"}, ""), (None, "Oslo"), (None, '{"a": 1}')])
def test_tool_arguments(inputs, input_str):
    """Arguments are an object."""
    assert problems(tool_arguments(inputs, input_str)) == []


KINDS = st.sampled_from([*SCHEMAS["$defs"], *MODALITIES, *SERVER_PARTS, "tool_use", "tool_result", "thinking"])
KEYS = st.sampled_from(
    [
        "id",
        "name",
        "text",
        "content",
        "data",
        "url",
        "uri",
        "file_id",
        "source",
        "input",
        "thinking",
        "response",
        "format",
    ]
)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just("data:image/png;base64,iVBO"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200)
@given(KINDS, st.dictionaries(KEYS, VALUES, max_size=4))
def test_blocks_of_any_shape(kind, fields):
    """Whatever stands in a block, it becomes a message whose parts say their type; none is lost to an error."""
    block = {"type": kind, **fields}
    for message in (HumanMessage, AIMessage):
        told = input_messages([message.model_construct(content=[block], name=None)])
        ((only,),) = (json.loads(value) for value in told.values())
        assert all(isinstance(part["type"], str) for part in only["parts"])


LONG = [
    HumanMessage("x" * 500),
    AIMessage(
        [{"type": "reasoning", "reasoning": "r" * 200}], tool_calls=[{"name": "f", "args": {"a": "b"}, "id": "1"}]
    ),
    ToolMessage("t" * 300, tool_call_id="1", name="f"),
    HumanMessage([{"type": "text", "text": "y" * 300}] * 3, name="bob"),
]
FOUND = [Document("x" * 200, id="1", metadata={"score": 0.5, "source": "s" * 100}), Document("y")] * 6
TOOLS = {"tools": [{"type": "function", "function": {"name": f"tool_{number}"}} for number in range(9)]}
STATE = {
    "messages": [AIMessage("a" * 300, name="guide", tool_calls=[{"name": "f", "args": {"a": "b" * 99}, "id": "1"}])]
}


def written_within(write):
    """Return what is written of what has more than there is room for."""
    yield from (input_messages(LONG[:count], write) for count in range(1, 5))
    yield input_prompts(["p" * 200, "q"], write)
    for generation in (ChatGeneration(message=LONG[1]), Generation(text="g" * 200)):
        yield output_messages(LLMResult(generations=[[generation] * 2]), write)
    yield state_outputs(STATE, write)
    yield state_inputs({"messages": [("user", "u" * 200), {"odd": 1}, AIMessage("x")]}, write)
    yield documents(FOUND, write)
    yield request_content({**TOOLS, "instructions": "i" * 500}, None, write)
    yield tool_arguments({"a": "b" * 300}, "", write)


@pytest.mark.parametrize("redactors", [(), (lambda text, _: text,)], ids=["as it is", "redacted"])
def test_what_is_cut_fits_the_schemas(redactors):
    """However little room there is, what there is of messages, tools and documents is whole, or is left out."""
    for room in range(2, 1_500, 11):
        for attributes in written_within(Writer(room, redactors)):
            assert problems({name: each for name, each in attributes.items() if name in SCHEMAS["$defs"]}) == []
            assert all(len(each.encode()) <= room for each in attributes.values())
            root_values(attributes, Writer(room))


def test_the_schemas_find_faults():
    """A part in a wrong form is found."""
    wrong = [{"type": "blob", "modality": "image", "content": "a", "extra": 1}, {"type": "uri", "uri": "data:,a"}]
    for part in wrong:
        written = json.dumps([{"role": "user", "parts": [part]}])
        assert problems({"gen_ai.input.messages": written}) != []
    assert problems({"gen_ai.tool.definitions": '[{"name": "a"}]'}) != []
