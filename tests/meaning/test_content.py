"""What goes into a trace and comes out of it: inputs and outputs of chains, agents and graphs, and how much of them."""

import asyncio
import dataclasses
import json

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from runspan import OpenTelemetryCallbackHandler, Settings, payload, semconv
from tests.fakes import ASKED, AgentModel, Model, Retriever, body, straight_graph, tool
from tests.tracing import Tracing

CONTENT = {"gen_ai.input.messages", "gen_ai.output.messages", "input.value", "output.value"}
INPUTS_AND_OUTPUTS = {"input.value", "output.value"}
MESSAGES = CONTENT - INPUTS_AND_OUTPUTS


def content_of(tracing):
    """Return which content each span has, by name."""
    return {span.name: CONTENT & span.attributes.keys() for span in tracing.spans}


def chain(tracing):
    prompt = ChatPromptTemplate.from_template("about {topic}")
    return prompt | body(tracing, "step") | Model(answer="an answer") | StrOutputParser()


@pytest.mark.parametrize("choice", ["none", "root", "all"])
def test_of_which_chains(choice):
    """By default the top and the prompts of a chain have inputs and outputs; all, or none, by choice."""
    tracing = Tracing(Settings(capture_chains=choice))
    chain(tracing).invoke({"topic": "cats"}, tracing.config)
    having = {name for name, names in content_of(tracing).items() if names == INPUTS_AND_OUTPUTS}
    root = {"RunnableSequence", "ChatPromptTemplate"}
    assert having == {"none": set(), "root": root, "all": root | {"step", "StrOutputParser"}}[choice]
    assert content_of(tracing)["chat"] == MESSAGES
    if choice != "none":
        top = tracing.one("RunnableSequence").attributes
        assert (top["input.value"], top["output.value"]) == ('{"topic":"cats"}', "an answer")


@pytest.mark.newest  # agents are known by what LangChain binds to them
@pytest.mark.parametrize("choice", ["none", "root", "all"])
def test_of_agents(choice):
    """An agent has the messages that it was given, and its last one, also within a chain; nodes only by choice."""
    tracing = Tracing(Settings(capture_chains=choice))
    agent = create_agent(AgentModel(tracing=tracing), [tool(tracing)], name="helper")
    (RunnableLambda(lambda x: x, name="before") | agent).invoke(ASKED, tracing.config)
    found = content_of(tracing)
    assert found["invoke_agent helper"] == (MESSAGES if choice != "none" else set())
    assert found["RunnableSequence"] == (INPUTS_AND_OUTPUTS if choice != "none" else set())
    assert found["model"] == found["before"] == (INPUTS_AND_OUTPUTS if choice == "all" else set())
    if choice != "none":
        attributes = tracing.one("invoke_agent helper").attributes
        question, answer = (json.loads(attributes[f"gen_ai.{way}.messages"]) for way in ("input", "output"))
        assert question == [{"role": "user", "parts": [{"type": "text", "content": "look"}]}]
        assert [message["parts"] for message in answer] == [[{"type": "text", "content": "three"}]]


def test_a_graph_without_messages_has_its_state(tracing):
    """A graph whose state has no messages has all that it is given and all that it ends with."""
    straight_graph(first=lambda state: {"values": ["x"]}).invoke({"values": ["w"]}, tracing.config)
    attributes = tracing.one("invoke_workflow").attributes
    assert attributes["input.value"] == '{"values":["w"]}'
    assert attributes["output.value"] == '{"values":["w","x"]}'
    assert content_of(tracing)["first"] == set()


def test_a_retriever_at_the_top_has_what_retrievers_have(tracing):
    """A retriever has query and documents by the conventions' names, and as values for backends that read no others."""
    Retriever(tracing=tracing).invoke("who", tracing.config)
    attributes = tracing.one("retrieval").attributes
    assert attributes["gen_ai.retrieval.query.text"] == attributes["input.value"] == "who"
    assert attributes["gen_ai.retrieval.documents"] == attributes["output.value"] == '[{"content":"a","metadata":{}}]'
    assert (attributes["input.mime_type"], attributes["output.mime_type"]) == ("text/plain", "application/json")


def values_of(span):
    """Return what went in and out of a span as values, each with its type."""
    names = ("input.value", "input.mime_type", "output.value", "output.mime_type")
    return tuple(span.attributes.get(name) for name in names)


@pytest.mark.newest
@pytest.mark.parametrize("form", ["json", "structured"])
def test_a_root_with_messages_shows_the_last_ones_as_text(form):
    """An agent or a model at the top has the last question and the answer as text, beside the messages."""
    tracing = Tracing(Settings(content_form=form))
    agent = create_agent(AgentModel(tracing=tracing), [tool(tracing)], name="helper")
    agent.invoke({"messages": [("user", "before"), ("ai", "yes"), ("user", "look")]}, tracing.config)
    assert values_of(tracing.one("invoke_agent helper")) == ("look", "text/plain", "three", "text/plain")
    assert [values_of(span) for span in tracing.named("chat")] == [(None,) * 4] * 2

    Model().invoke("what", tracing.config)
    assert values_of(tracing.named("chat")[-1]) == ("what", "text/plain", "three", "text/plain")


class TwoChoices(Model):
    """A model that gives two answers, of which LangChain returns the first."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text)) for text in ("first", "second")])


@pytest.mark.parametrize("form", ["json", pytest.param("structured", marks=pytest.mark.newest)])
def test_a_root_of_several_choices_shows_the_first(form):
    """The answer at the top is what the model returned, not another choice that is recorded beside it."""
    tracing = Tracing(Settings(content_form=form))
    answer = TwoChoices().invoke("what", tracing.config).content
    assert values_of(tracing.one("chat")) == ("what", "text/plain", answer, "text/plain")
    assert "second" in str(tracing.one("chat").attributes["gen_ai.output.messages"])


def test_a_root_that_is_left_early_shows_the_text_so_far(tracing):
    """A stream that is left has the question and what came of the answer."""
    next(Model().stream("what", tracing.config))
    tracing.settle()
    span = tracing.one("chat")
    assert values_of(span) == ("what", "text/plain", "th", "text/plain")
    assert json.loads(span.attributes["gen_ai.output.messages"])[0]["finish_reason"] == "error"


def test_values_say_what_they_are(tracing):
    """A text is recorded as it is, everything else as JSON, and the type says which."""
    RunnableLambda(lambda text: {"a": text}, name="first").invoke("Grüße", tracing.config)
    assert values_of(tracing.one("first")) == ("Grüße", "text/plain", '{"a":"Grüße"}', "application/json")


def test_no_value_where_content_is_forbidden():
    """Without content there is no value, nor its type."""
    tracing = Tracing(Settings(capture_content="none"))
    Model().invoke("what", tracing.config)
    Retriever().invoke("who", tracing.config)
    chain(tracing).invoke({"topic": "cats"}, tracing.config)
    assert {values_of(span) for span in tracing.spans} == {(None,) * 4}


async def _drain(stream):
    async for _ in stream:
        pass


@pytest.mark.parametrize("way", ["invoke", "stream", "astream", "astream_events"])
def test_inputs_of_a_stream(tracing, way):
    """A streamed chain has what went in, and not the placeholder that LangChain gives at its start."""
    run = chain(tracing)
    match way:
        case "invoke":
            run.invoke({"topic": "cats"}, tracing.config)
        case "stream":
            list(run.stream({"topic": "cats"}, tracing.config))
        case "astream":
            asyncio.run(_drain(run.astream({"topic": "cats"}, tracing.config)))
        case "astream_events":
            asyncio.run(_drain(run.astream_events({"topic": "cats"}, tracing.config, version="v2")))
    assert tracing.one("RunnableSequence").attributes["input.value"] == '{"topic":"cats"}'
    assert tracing.one("ChatPromptTemplate").attributes["input.value"] == '{"topic":"cats"}'


def test_inputs_of_a_stream_that_fails(tracing):
    """A streamed chain that raises has what went in, too."""

    def fail(_):
        raise ValueError("no")

    run = ChatPromptTemplate.from_template("about {topic}") | RunnableLambda(fail)
    with pytest.raises(ValueError, match="no"):
        list(run.stream({"topic": "cats"}, tracing.config))
    assert tracing.one("RunnableSequence").attributes["input.value"] == '{"topic":"cats"}'


class Typed(BaseModel):
    """A state that is an object of pydantic's."""

    messages: list


@dataclasses.dataclass
class Plain:
    """A state that is a dataclass."""

    messages: list


HI = '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'
HI_AT_LAST = '[{"role":"user","parts":[{"type":"text","content":"hi"}],"finish_reason":"stop"}]'


@pytest.mark.parametrize(
    "state",
    [
        {"messages": [HumanMessage("hi")], "more": 1},
        {"messages": [("user", "hi")]},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"messages": ["hi"]},
        {"messages": "hi"},
        {"messages": ("user", "hi")},
        {"messages": HumanMessage("hi")},
        [HumanMessage("hi")],
        Typed(messages=[HumanMessage("hi")]),
        Plain(messages=[HumanMessage("hi")]),
    ],
    ids=str,
)
def test_messages_in_a_state(state):
    """Messages are found in every form in which LangGraph takes them."""
    assert payload.state_inputs(state) == {"gen_ai.input.messages": HI}
    assert payload.state_outputs(state) == {"gen_ai.output.messages": HI_AT_LAST}


def test_the_output_is_the_last_message():
    """Of the messages that a graph ends with, the last is its output."""
    state = {"messages": [HumanMessage("hi"), AIMessage("there")]}
    told = json.loads(payload.state_outputs(state)["gen_ai.output.messages"])
    assert [message["role"] for message in told] == ["assistant"]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"stop_reason": "max_tokens"}, "max_tokens"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"finish_reason": None}, "stop"),
        ({"finish_reason": 5, "status": []}, "stop"),
        ({}, "stop"),
    ],
)
def test_the_output_ended_as_its_last_message(metadata, reason):
    """The answer of an agent ended for the reason that its model gave, and at its end where none did."""
    state = {"messages": [HumanMessage("hi"), AIMessage("there", response_metadata=metadata)]}
    (told,) = json.loads(payload.state_outputs(state)["gen_ai.output.messages"])
    assert told["finish_reason"] == reason


@pytest.mark.parametrize("messages", [[], 5, [5], None, [{"kind": "news"}], {}, [HumanMessage("hi"), 5]], ids=str)
def test_a_state_with_other_things_under_that_name(messages, caplog):
    """What is no list of messages is recorded as the state that it is, without a word in the log."""
    state = {"messages": messages}
    assert payload.state_inputs(state).keys() == {"input.value", "input.mime_type"}
    assert payload.state_outputs(state).keys() == {"output.value", "output.mime_type"}
    assert not caplog.records


def content_bytes(spans):
    """Return how many bytes the content of spans takes."""
    return sum(
        len(value.encode())
        for span in spans
        for name, value in span.attributes.items()
        if name in semconv.CONTENT and isinstance(value, str)
    )


def assert_json(spans):
    """Check that each attribute that is JSON can be read."""
    for span in spans:
        for name in JSON & span.attributes.keys():
            if span.attributes.get(name.replace("value", "mime_type")) != "text/plain":
                json.loads(span.attributes[name])


JSON = {*CONTENT, "gen_ai.tool.call.arguments", "gen_ai.tool.definitions", "gen_ai.retrieval.documents"}


def test_an_attribute_and_a_span_have_a_budget():
    """No attribute and no span takes more than its settings say, and what is cut is valid JSON."""
    tracing = Tracing(Settings(capture_chains="all", max_attribute_bytes=2_000, max_span_bytes=3_000))
    (body(tracing, "step") | Model(answer="a" * 50_000)).invoke("q" * 50_000, tracing.config)
    assert_json(tracing.spans)
    for span in tracing.spans:
        assert content_bytes([span]) <= 3_000
        for name in CONTENT & span.attributes.keys():
            assert 500 < len(span.attributes[name].encode()) <= 2_000
    assert " characters left out]" in tracing.one("chat").attributes["gen_ai.output.messages"]


def test_a_trace_has_a_budget():
    """All spans of an invocation share a budget; the root, the errors and the last model get something in any case."""
    tracing = Tracing(Settings(capture_chains="all", max_trace_bytes=1_000_000))
    turns = 60

    def ask(question):
        for _ in range(turns):
            Model(tracing=tracing, answer="a" * 30_000).invoke(question)
        with pytest.raises(ValueError, match="no"):
            Model(answer=ValueError("no " * 1_000)).invoke(question)
        return "r" * 2_000

    RunnableLambda(ask, name="root").invoke("q" * 2_000, tracing.config)
    assert_json(tracing.spans)
    assert 500_000 < content_bytes(tracing.spans) <= 1_000_000
    *models, failed = tracing.named("chat")
    assert len(models) == turns
    assert len(models[0].attributes["gen_ai.output.messages"]) > 30_000
    assert "aaaaa" in models[-1].attributes["gen_ai.output.messages"]
    assert len(models[-1].attributes["gen_ai.output.messages"]) < 1_000
    assert failed.status.description.startswith("no no")
    root = tracing.one("root").attributes
    assert len(root["input.value"]) > 1_000
    assert len(root["output.value"]) > 1_000
    (body(tracing, "step") | Model(answer="b" * 3_000)).invoke("q" * 2_000, tracing.config)
    assert (
        len(tracing.named("chat")[-1].attributes["gen_ai.output.messages"]) > 3_000
    )  # the next has a budget of its own


@pytest.mark.newest
@pytest.mark.parametrize("name", ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"])
@pytest.mark.parametrize("limit", [1, 10, 100, 1_000])
def test_opentelemetrys_limit_of_a_text_breaks_no_json(monkeypatch, name, limit):
    """With the SDK's own limit of the length of attributes, which cuts anywhere, JSON is valid still."""
    monkeypatch.setenv(name, str(limit))
    tracing = Tracing(Settings(capture_chains="all"))
    agent = create_agent(AgentModel(tracing=tracing), [tool(tracing)], name="helper")
    agent.invoke({"messages": [("user", "look, " * 1_000)]}, tracing.config)
    Retriever(tracing=tracing).invoke("who", tracing.config)
    assert_json(tracing.spans)
    if limit == 1_000:
        assert "look, look" in tracing.one("invoke_agent helper").attributes["gen_ai.input.messages"]


@pytest.mark.newest
@pytest.mark.parametrize("limit", [100, 1_000])
def test_a_limit_of_a_text_in_code_breaks_no_json_if_the_handler_has_it_too(limit):
    """Where a provider was given its limit in code, the same number as a setting of the handler keeps JSON valid."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(span_limits=SpanLimits(max_span_attribute_length=limit), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = Settings(capture_chains="all", max_attribute_bytes=limit)
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider, settings=settings)
    agent = create_agent(Model(answer="é" * 2_000), [], name="helper")
    agent.invoke({"messages": [("user", "look, é, " * 1_000)]}, {"callbacks": [handler]})
    spans = exporter.get_finished_spans()
    assert_json(spans)
    longest = max(len(value) for span in spans for value in span.attributes.values() if isinstance(value, str))
    assert limit / 4 < longest <= limit


def test_metadata_pushes_out_no_core_attribute(monkeypatch):
    """As many keys of metadata as a setting allows leave what a span is about; more are an error."""
    keys = tuple(f"key{number}" for number in range(32))
    tracing = Tracing(Settings(metadata_keys=keys))
    Model(tracing=tracing).invoke("q", {**tracing.config, "metadata": dict.fromkeys(keys, "value"), "tags": ["t"]})
    attributes = tracing.one("chat").attributes
    assert {
        "gen_ai.operation.name",
        "langchain.run.id",
        "langchain.metadata.key0",
        "langchain.tags",
    } < attributes.keys()
    with pytest.raises(ValueError, match=r"^Settings: metadata_keys = .* at most 32"):
        Settings(metadata_keys=(*keys, "more"))


@pytest.mark.parametrize("limit", [8, 20, 128])
def test_opentelemetrys_limit_of_attributes_leaves_the_core(monkeypatch, limit):
    """Whatever the SDK's limit of a span's attributes drops, it is not what the call was, used and said."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", str(limit))
    tracing = Tracing()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider,
        attributes={f"key{number}": number for number in range(200)},
    )
    used = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    Model(params={"model": "m-1"}, usage=used).invoke("q", {"callbacks": [handler], "tags": ["t"] * 9})
    attributes = tracing.one("chat m-1").attributes
    assert len(attributes) == limit
    assert json.loads(attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == "three"
    assert (attributes["gen_ai.operation.name"], attributes["gen_ai.request.model"]) == ("chat", "m-1")
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (1, 2)


def test_the_core_is_as_the_call_has_it(monkeypatch):
    """Where the attributes of a call replace one of ours, that stays so beyond the SDK's limit of attributes."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "40")
    tracing = Tracing()
    own = {**{f"key{number}": number for number in range(60)}, "gen_ai.provider.name": "our gateway"}
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, attributes=own)
    Model(params={"model": "m-1"}).invoke("q", {"callbacks": [handler]})
    assert tracing.one("chat m-1").dropped_attributes > 0
    assert tracing.one("chat m-1").attributes["gen_ai.provider.name"] == "our gateway"


@pytest.mark.parametrize("limit", ["", "100"])
def test_tags_and_metadata_are_bounded_too(monkeypatch, limit):
    """However many tags and stop sequences there are, and whatever metadata is, a span can be stored; JSON is valid."""
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", limit)
    tracing = Tracing(Settings(metadata_keys=("list", "text")))
    many = [f"{number}" * 5 for number in range(10_000)]
    metadata = {"list": [{"a": many}] * 1_000, "text": "t" * 100_000}
    Model().bind(stop=many).invoke("q", {**tracing.config, "tags": many, "metadata": metadata})
    attributes = tracing.one("chat").attributes
    assert type(json.loads(attributes["langchain.metadata.list"])) is list
    for name in ("langchain.tags", "gen_ai.request.stop_sequences"):
        assert set(attributes[name][:500]) < set(many)
        assert attributes[name][-1] == "…"
    assert all(len(str(value)) < 65_000 for value in attributes.values())
