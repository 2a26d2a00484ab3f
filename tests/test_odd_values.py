"""Odd values of the application in real runs: the run goes on, its span is whole, nothing is lost beside the value."""

import enum
import itertools
from uuid import uuid4

import numpy as np
import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import dispatch_custom_event
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool

from runspan import OpenTelemetryCallbackHandler, Settings, payload
from runspan.payload.tools import tool_definitions
from tests.fakes import Model
from tests.meaning.test_signals import Logger
from tests.tracing import Tracing


class PanicError(BaseException):
    """As pyo3's: no Exception."""


class Panicking:
    """A value whose every bit of code panics."""

    def _panic(self, *_):
        raise PanicError

    __repr__ = __iter__ = __bool__ = __eq__ = __len__ = _panic
    __hash__ = object.__hash__
    tolist = property(_panic)


def throw(error):
    raise error


def tool_that_returns(value):
    return StructuredTool.from_function(lambda q: value, name="t", description="d")


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value], lambda value: {"a": (value,)}])
def test_a_panic_of_a_value_does_not_reach_the_application(wrap):
    """A value whose code raises a BaseException is named by its class, in tools and chains."""
    tracing = Tracing(Settings(capture_chains=True))
    value = wrap(Panicking())
    assert tool_that_returns(value).invoke({"q": "x"}, tracing.config) is value
    assert RunnableLambda(lambda _: value).invoke(value, tracing.config) is value
    tool, chain = tracing.spans
    assert "<unprintable Panicking>" in tool.attributes["gen_ai.tool.call.result"]
    assert "<unprintable Panicking>" in chain.attributes["input.value"]
    assert tracing.handler.open_runs == 0


@pytest.mark.parametrize("tag", [np.array([1, 2]), Panicking()])
def test_a_tag_without_an_order_costs_no_span(tag):
    """A tag whose == is no truth value is described; the span is there, and so are the other tags."""
    tracing = Tracing()
    tags = ["first", tag]
    tracing.handler.on_chain_start({}, {}, run_id=(run_id := uuid4()), tags=tags, name="chain")
    tracing.handler.on_chain_end({}, run_id=run_id)
    assert tracing.one("chain").attributes["langchain.tags"][0] == "first"


def test_an_enum_names_a_model_by_its_value():
    """A model's name that is a str and an Enum is its text, in the span's name and attributes."""

    class Name(str, enum.Enum):  # noqa: UP042  what many still write
        SMALL = "small-1"

    tracing = Tracing()
    Model(params={"model": Name.SMALL}).invoke("q", tracing.config)
    span = tracing.one("chat small-1")
    assert type(span.attributes["gen_ai.request.model"]) is str


def test_a_hostile_block_costs_no_other_block():
    """A content block that can't be read is named; the blocks around it are there."""
    tracing = Tracing()
    message = HumanMessage([{"type": "text", "text": "before"}, {"type": "text", "text": "after"}])
    message.content.insert(1, {"type": "image", "source": Panicking(), "data": Panicking()})
    GenericFakeChatModel(messages=iter([AIMessage("x")])).invoke([message], tracing.config)
    (span,) = tracing.spans
    recorded = span.attributes["gen_ai.input.messages"]
    assert "before" in recorded
    assert "<unprintable Panicking>" in recorded
    assert "after" in recorded


def test_absurd_parameters_cost_no_others():
    """Numbers that no attribute can hold are left out; what stands beside them is there."""
    params = {"model": "m", "temperature": 10**400, "top_p": float("nan"), "seed": 2**64, "max_tokens": 5}
    tracing = Tracing()
    Model(params=params).invoke("q", tracing.config)
    attributes = tracing.one("chat m").attributes
    assert attributes["gen_ai.request.max_tokens"] == 5
    assert not {"gen_ai.request.temperature", "gen_ai.request.top_p", "gen_ai.request.seed"} & attributes.keys()


class Watched(list):
    """A list that counts how often somebody looks at one of its items."""

    seen = 0

    def __iter__(self):
        for item in super().__iter__():
            self.seen += 1
            yield item

    def __getitem__(self, index):
        self.seen += 1
        return super().__getitem__(index)


class Item:
    """A value that counts, for all of its kind, how often its class is asked for."""

    asked = 0

    @property
    def __class__(self):
        Item.asked += 1
        return Item


def test_numbers_of_metadata():
    """Numbers are recorded as they are, those that JSON and receivers lack as texts."""
    numbers = {
        "half": 0.5,
        "nan": float("nan"),
        "low": float("-inf"),
        "numpy": np.float64(2.5),
        "yes": True,
        "far": 2**70,
    }
    tracing = Tracing(Settings(metadata_keys=tuple(numbers)))
    Model().invoke("x", {"metadata": numbers, **tracing.config})
    found = {name: tracing.one("chat").attributes.get(f"langchain.metadata.{name}") for name in numbers}
    assert found == {"half": 0.5, "nan": "nan", "low": "-inf", "numpy": 2.5, "yes": True, "far": f'"{2**70}"'}


@pytest.mark.newest  # older agents don't say that they are some
def test_names_are_bounded():
    """Names of spans, runs, models, tools, nodes, agents, prompts and errors that are far too long are cut."""
    tracing, events, long = Tracing(), Logger(), "n" * 1_000_000
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, logger_provider=events, settings=Settings(capture_content="none")
    )
    error = type(long, (Exception,), {"__module__": long})
    answer = AIMessage("", response_metadata={"id": long, "model_name": long, "finish_reason": long})
    params = {"model": long, "service_tier": long, "reasoning_effort": long, "base_url": f"http://{long}/"}
    metadata = {"ls_provider": long, "langgraph_node": long, "langgraph_checkpoint_ns": long, "session_id": long}
    config = {"callbacks": [handler], "run_name": long, "metadata": metadata}
    prompt = ChatPromptTemplate.from_messages([("user", f"{{{long}}} {{short}}")])
    (prompt | Model(params=params, answer=answer)).invoke({long: "x", "short": "y"}, config)
    StructuredTool.from_function(lambda q: q, name=long, description=long).invoke({"q": "x"}, config)
    with pytest.raises(error):
        RunnableLambda(lambda _: throw(error())).invoke("x", config)
    create_agent(Model(), [], name=long).invoke({"messages": []}, {"callbacks": [handler]})
    RunnableLambda(lambda _: dispatch_custom_event(long, {})).invoke("x", config)
    assert len(tracing.spans) >= 9
    assert max(len(span.name) for span in tracing.spans) == len("execute_tool ") + 1_000
    recorded = [span.attributes for span in tracing.spans] + [each["attributes"] for each in events.records]
    lengths = {}
    for name, value in itertools.chain.from_iterable(attributes.items() for attributes in recorded):
        for each in value if isinstance(value, list | tuple) else (value,):
            lengths.setdefault(name, set()).add(len(str(each)))
    note = len("… [990,000 characters left out]")
    described = {"session.id", "gen_ai.conversation.id", "langgraph.checkpoint.namespace", "gen_ai.tool.description"}
    assert {name for name, found in lengths.items() if max(found) > 1_000} == described
    assert {max(lengths[name]) for name in described} == {10_000 + note}
    assert {name for name, found in lengths.items() if max(found) in range(990, 1_001)} >= {
        "error.type",
        "gen_ai.agent.name",
        "gen_ai.request.model",
        "gen_ai.response.finish_reasons",
        "gen_ai.response.model",
        "gen_ai.tool.name",
        "langchain.event.name",
        "langchain.run.name",
        "langgraph.node",
        "server.address",
    }


def test_without_content_nothing_walks_through_payloads():
    """With content off a list of any length that a tool or chain handles is looked at, if at all, at its head."""
    tracing = Tracing(Settings(capture_content="none", capture_chains=True))
    rows = Watched(Item() for _ in range(10_000))
    Item.asked = 0
    tool_that_returns(rows).invoke({"q": "x"}, tracing.config)
    RunnableLambda(lambda _: rows).invoke({"rows": rows}, tracing.config)
    assert len(tracing.spans) == 2
    assert rows.seen <= 100
    assert Item.asked <= 200


class EndlessList(list):
    """A list whose iterator never ends."""

    def __iter__(self):
        return itertools.repeat("a")


class EndlessDict(dict):
    """A dictionary whose iterators never end."""

    def items(self):
        return itertools.repeat(("a", 1))

    def __iter__(self):
        return itertools.repeat("a")

    keys = values = __iter__


def test_an_endless_list_of_a_tool_ends():
    """A list or dictionary whose iterator never ends is read by what it holds, with and without content."""
    failed = ToolMessage("no", tool_call_id="1", status="error")
    for settings in (Settings(), Settings(capture_content="none"), Settings(content_form="structured")):
        tracing = Tracing(settings)
        tool_that_returns(EndlessList([EndlessDict(a=EndlessList([1])), failed])).invoke({"q": "x"}, tracing.config)
        (span,) = tracing.spans
        assert span.attributes["error.type"] == "tool_error"


def test_endless_parameters_of_a_model_end():
    """What a model is called with and answers is read by what it holds, wherever a list or dictionary never ends."""
    tool = EndlessDict(google_search=EndlessDict(), functionDeclarations=EndlessList([EndlessDict(name="f")]))
    parameters = EndlessDict(model="m", stop=EndlessList(["."]), model_kwargs=EndlessDict(seed=3), tools=[tool])
    serialized = EndlessDict(id=EndlessList(["langchain_openai", "M"]))
    start = payload.model_start(
        payload.Kind.CHAT, serialized=serialized, metadata=EndlessDict(), invocation_params=parameters
    )
    assert start.attributes["gen_ai.provider.name"] == "openai"
    assert start.attributes["gen_ai.request.stop_sequences"] == ["."]
    assert start.attributes["gen_ai.request.seed"] == 3
    assert '"name":"f"' in tool_definitions(parameters)["gen_ai.tool.definitions"]
    message = AIMessage("")
    kinds = ("server_tool_use", "web_search_tool_result", "compaction", "reasoning", "new")
    message.content = EndlessList(
        EndlessDict(type=kind, text=EndlessList(), summary=EndlessList([EndlessDict(text="so")])) for kind in kinds
    )
    details = EndlessDict(cache_read=2)
    message.usage_metadata = EndlessDict(input_tokens=3, output_tokens=2, input_token_details=details)
    result = LLMResult(generations=[[ChatGeneration(message=AIMessage(""))]])
    result.generations[0][0].message = message  # only now: LangChain reads what a generation is made with
    assert payload.response_attributes(result)["gen_ai.usage.cache_read.input_tokens"] == 2
    assert '"content":"so"' in payload.output_messages(result)["gen_ai.output.messages"]


def test_a_hostile_document_costs_no_other():
    """A document whose metadata can't be read is named; the others are there."""
    found = [Document("one"), Document("two", metadata={"score": Panicking()}), (Document("three"), Panicking())]
    recorded = payload.documents(found)["gen_ai.retrieval.documents"]
    assert all(text in recorded for text in ("one", "two", "three"))


def test_a_session_that_is_neither_true_nor_false_is_read_with_all_else(tracing):
    """An id may be a value whose truth is an error, such as pandas' NA: it is described, with all beside it."""

    class Unknown:
        def __bool__(self):
            raise TypeError("boolean value of NA is ambiguous")

        def __repr__(self):
            return "<NA>"

    RunnableLambda(lambda x: x, name="odd").invoke(
        1, {**tracing.config, "metadata": {"session_id": Unknown(), "user_id": "ada"}}
    )
    attributes = tracing.one("odd").attributes
    assert "session.id" in attributes
    assert attributes["user.id"] == "ada"
