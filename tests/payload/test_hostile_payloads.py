"""Whatever stands in a payload, what comes out can be exported."""

from types import SimpleNamespace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from runspan import payload
from runspan._guard import attempt


class Rude:
    """A value that can't be printed."""

    def __repr__(self):
        raise RuntimeError


text = st.text(st.characters(), max_size=4)
integers = st.integers() | st.integers(2**62, 2**66)
scalars = st.none() | st.booleans() | integers | st.floats() | text | st.binary(max_size=3) | st.builds(Rude)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)


def dictionaries(*keys):
    """Make dictionaries that have the keys which the mapping looks for, with anything under them."""
    return st.dictionaries(st.sampled_from(keys) | text, junk, max_size=5)


BLOCK_KEYS = ("text", "thinking", "summary", "source", "image_url", "url", "data", "base64", "file_id", "id", "input")
BLOCK_TYPES = ("text", "thinking", "tool_use", "tool_result", "image", "image_url", "file", "media", "document", "new")
blocks = st.builds(
    lambda block, kind: {**block, "type": kind}, dictionaries(*BLOCK_KEYS), st.sampled_from(BLOCK_TYPES) | junk
)
contents = text | st.lists(text | blocks, max_size=4)
usage = dictionaries("prompt_tokens", "completion_tokens", "input_tokens")
metadata = dictionaries("id", "model", "finish_reason", "stop_reason", "usage", "score") | st.fixed_dictionaries(
    {"token_usage": usage}
)
calls = st.builds(
    lambda name, args, call_id: {"name": name, "args": args, "id": call_id},
    text,
    st.dictionaries(text, junk, max_size=3),
    text | st.none(),
)
answers = st.builds(
    AIMessage,
    content=contents,
    tool_calls=st.lists(calls, max_size=2),
    response_metadata=metadata,
    additional_kwargs=dictionaries("reasoning_content", "tool_calls"),
    id=text | st.none(),
    name=text | st.none(),
)
messages = (
    answers
    | st.builds(HumanMessage, content=contents)
    | st.builds(ChatMessage, content=contents, role=text)
    | st.builds(ToolMessage, content=contents, tool_call_id=text)
)


def chat_generation(message, generation_info):
    """Make a generation of any message; LangChain refuses some, but only when the generation is made."""
    generation = ChatGeneration(message=AIMessage(""), generation_info=generation_info)
    generation.message = message
    return generation


responses = st.builds(
    LLMResult,
    generations=st.lists(
        st.lists(
            st.builds(chat_generation, answers, metadata | st.none())
            | st.builds(Generation, text=text, generation_info=metadata | st.none()),
            max_size=3,
        ),
        max_size=2,
    ),
    llm_output=metadata | st.none(),
)


def exportable(attributes):
    """Fail if an attribute is nothing that OTLP can hold: another type, a larger integer, text that is not Unicode."""
    for name, value in attributes.items():
        assert type(name) is str
        for item in value if type(value) is list else [value]:
            assert type(item) in (str, int, float, bool)
            assert type(item) is not int or -(2**63) <= item < 2**63
            str(item).encode()


@given(st.lists(messages, max_size=3), responses)
def test_messages_and_answers_never_fail(asked, answered):
    """Messages and answers with anything inside them are mapped without an error."""
    exportable(payload.input_messages(asked))
    exportable(payload.output_messages(answered))
    exportable(payload.response_attributes(answered))


@given(junk, st.lists(st.builds(Document, page_content=text, metadata=metadata), max_size=3))
def test_contents_of_tools_and_retrievers_never_fail(value, found):
    """Arguments, results, queries and documents of any kind are mapped without an error."""
    exportable(payload.tool_arguments(value, value))
    exportable(payload.tool_result(value))
    exportable(payload.query(value))
    exportable(payload.documents(found))


@given(junk | dictionaries("name", "id", "description"), junk, junk | dictionaries("ls_provider", "langgraph_step"))
def test_starts_never_fail(serialized, name, about):
    """Whatever a run is said to be, it starts with a name that can be exported."""
    what = {"serialized": serialized, "run_name": name}
    for start in (
        payload.chain_start(**what, run_type=name),
        payload.chain_start(**what, run_type=name, graph=SimpleNamespace(config={"metadata": about})),
        payload.chain_start(**what, run_type=name, graph=SimpleNamespace(config=about)),
        payload.model_start(payload.Kind.CHAT, **what, metadata=about, invocation_params=about),
        payload.model_start(payload.Kind.COMPLETION, **what, metadata=about, invocation_params=about),
        payload.tool_start(**what, tool_call_id=name),
        payload.retriever_start(**what),
    ):
        exportable({"name": start.name, **start.attributes})


@given(junk)
def test_what_makes_no_sense_gives_nothing_or_something_exportable(value):
    """Where a shape is absurd the mapping may fail, as its caller expects, but never gives what can't be exported."""
    for function in (payload.input_messages, payload.input_prompts, payload.documents):
        exportable(attempt(function, value, default={}))
    exportable(attempt(payload.origin, UUID(int=1), value, value, default={}))
