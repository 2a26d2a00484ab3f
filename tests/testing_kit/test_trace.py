"""The fixture ``trace`` and what it can be asked."""

import asyncio
import json
import threading

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import OpenTelemetryCallbackHandler, Settings
from runspan.testing import Message, RecordedTrace, Tokens, Trace
from tests.fakes import USAGE, Model


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def ask_for_weather(messages):
    """Call the tool until its answer is the last message."""
    if messages[-1].type == "tool":
        return AIMessage("Take a hat.")
    return AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}])


def agent():
    return create_agent(Model(answer=ask_for_weather, usage=USAGE, params={"model": "m-1"}), [weather], name="guide")


ASKED = {"messages": [("user", "Do I need a hat?")]}


@pytest.mark.newest
def test_an_agent_is_seen_without_a_handler(trace):
    """What a test runs is recorded though nothing is passed to it: tree, tools, tokens, messages."""
    agent().invoke(ASKED)
    assert trace.tree() == (
        "invoke_agent guide\n  model\n    chat m-1\n  tools\n    execute_tool weather\n  model\n    chat m-1"
    )
    assert trace.tools() == [("weather", {"city": "Oslo"})]
    assert trace.tokens == Tokens(input=14, output=10)
    assert trace.messages() == [
        Message("user", "Do I need a hat?"),
        Message("assistant", 'weather({"city":"Oslo"})'),
        Message("tool", "sunny in Oslo"),
        Message("assistant", "Take a hat."),
    ]


@pytest.mark.newest
async def test_async_tests_too(trace):
    """The fixture holds in a coroutine, and in the tasks that it starts."""
    await asyncio.gather(agent().ainvoke(ASKED), asyncio.create_task(agent().ainvoke(ASKED)))
    assert [root.name for root in trace.roots] == ["invoke_agent guide"] * 2
    trace.assert_tools(["weather", "weather"])


def test_a_handler_of_the_application_makes_no_second_span(trace):
    """Code that brings a handler of its own has one span per run, and is recorded all the same."""
    RunnableLambda(lambda x: x, name="plain").invoke(1, {"callbacks": [OpenTelemetryCallbackHandler(), trace.handler]})
    assert trace.tree() == "plain"


def test_what_the_application_keeps_out_is_not_there():
    """Where a handler of the application forbids content, the test sees that there is none."""
    provider = TracerProvider(shutdown_on_exit=False)
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider, settings=Settings(capture_content="none"))
    with Trace(tracer_provider=provider) as trace:
        agent().invoke(ASKED, {"callbacks": [handler]})
    assert trace.tools() == [("weather", None)]
    assert trace.messages() == []


def test_parallel_traces_are_apart():
    """Blocks in threads that run at the same time record each its own."""
    trees, together = {}, threading.Barrier(8)

    def work(name):
        with Trace() as trace:
            together.wait(30)
            RunnableLambda(lambda x: x, name=name).invoke(1)
            together.wait(30)
        trees[name] = trace.tree()

    threads = [threading.Thread(target=work, args=(f"chain {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert trees == {name: name for name in trees}
    assert len(trees) == 8


async def test_traces_of_tasks_are_apart():
    """Blocks in tasks of one event loop that take turns record each its own."""

    async def work(name):
        with Trace() as trace:
            for _ in range(3):
                await RunnableLambda(lambda x: x, name=name).ainvoke(1)
                await asyncio.sleep(0)
        return trace.tree()

    names = [f"chain {number}" for number in range(5)]
    assert await asyncio.gather(*map(work, names)) == [f"{name}\n{name}\n{name}" for name in names]


def test_nothing_is_recorded_after_the_block():
    """What runs before and after a block is not in it, and has no handler of it."""
    chain = RunnableLambda(lambda x: x, name="chain")
    chain.invoke(1)
    with Trace() as trace:
        chain.invoke(1)
    chain.invoke(1)
    assert trace.tree() == "chain"


def test_a_block_within_another():
    """Both blocks record what runs in the inner one."""
    chain = RunnableLambda(lambda x: x, name="chain")
    with Trace() as outer:
        with Trace() as inner:
            chain.invoke(1)
        chain.invoke(2)
    assert inner.tree() == "chain"
    assert outer.tree() == "chain\nchain"


def test_spans_of_the_code_itself():
    """Spans that code starts with the provider of the block are recorded, also outside of LangChain."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    with Trace(tracer_provider=provider) as trace, tracer.start_as_current_span("handle") as span:
        span.set_attribute("paths", ["a", "b"])
        RunnableLambda(lambda x: x, name="chain").invoke(1)
    assert trace.tree() == "handle\n  chain"
    assert trace.first(has={"paths": ["a", "b"]}).name == "handle"


def test_a_thread_without_the_context(trace):
    """Work in a thread that knows nothing of the test is recorded by ``trace.config``."""
    chain = RunnableLambda(lambda x: x, name="chain")
    thread = threading.Thread(target=chain.invoke, args=(1, trace.config))
    thread.start()
    thread.join(30)
    assert trace.tree() == "chain"


def test_marks_of_the_tree(trace):
    """A line says of a span that it failed, was left, or is open yet."""

    def fail(_):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        RunnableLambda(fail, name="failing").invoke(1)
    stream = Model().stream("a")
    next(stream)
    assert trace.tree() == "failing [error]\nchat [open]"
    stream.close()
    assert trace.tree() == "failing [error]\nchat [abandoned]"


def test_times_and_attributes_by_choice(trace):
    """A line has the attributes that are asked for, and the duration."""
    agent().invoke(ASKED)
    tree = trace.tree(attributes=["gen_ai.usage.input_tokens", "gen_ai.tool.call.arguments"])
    assert "    chat m-1 gen_ai.usage.input_tokens=7\n" in tree
    assert '    execute_tool weather gen_ai.tool.call.arguments={"city":"Oslo"}\n' in tree
    assert all(line.endswith(" ms") for line in trace.tree(times=True).splitlines())


@pytest.mark.newest
def test_links_by_choice(trace):
    """A line has the names of what its span links to, also of what was not recorded."""
    agent().invoke(ASKED)
    assert trace.tree(links=True) == (
        "invoke_agent guide\n  model\n    chat m-1\n  tools\n    execute_tool weather -> chat m-1\n"
        "  model\n    chat m-1 -> execute_tool weather"
    )
    tool_alone = RecordedTrace([trace.first("execute_tool*").span])
    assert tool_alone.tree(links=True) == "execute_tool weather -> elsewhere"


def test_spans_that_there_are_already():
    """Spans of an exporter are asked as those of a block are, those whose parent is not among them at the top."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider)
    with provider.get_tracer("test").start_as_current_span("request"):
        agent().invoke(ASKED, {"callbacks": [handler]})
        finished = RecordedTrace(exporter.get_finished_spans())
    assert finished.roots[0].name == finished.first("invoke*").name
    finished.assert_tools([("weather", {"city": "Oslo"})])
    assert finished.tokens == (14, 10)
    assert finished.messages()[-1].text == "Take a hat."
    assert RecordedTrace([]).tree() == ""


def test_siblings_in_any_order(trace):
    """Spans that start together can be sorted."""
    for name in "ba":
        RunnableLambda(lambda x: x, name=name).invoke(1)
    assert trace.tree() == "b\na"
    assert trace.tree(sort=True) == "a\nb"


@pytest.mark.newest
def test_finding_spans(trace):
    """Spans are found by a pattern of the name, by attributes, and by what is above them."""
    agent().invoke(ASKED)
    asked, answered = trace.find("chat*")
    assert trace.first("chat*").span is asked.span
    assert trace.first("execute_*", has={"gen_ai.tool.call.arguments": {"city": "Oslo"}}).is_tool_call
    assert trace.first(has="gen_ai.tool.name").name == "execute_tool weather"
    assert trace.first("chat*", within="model").parent.name == "model"
    assert len(trace.find("chat*", within=trace.first("invoke_agent*"))) == 2
    assert trace.find("chat*", within="tools") == []
    assert trace.find(has={"gen_ai.tool.name": "other"}) == []
    with pytest.raises(AssertionError, match=r"no span with name='chat\*', within='tools' in:\ninvoke_agent guide"):
        trace.first("chat*", within="tools")
    assert answered.seconds >= 0


CALLED = [("a", {"x": 1}), ("b", {}), ("a", {"x": 2})]


@pytest.mark.parametrize(
    ("order", "right", "wrong"),
    [
        ("strict", ["a", ("b", {}), ("a", {"x": 2})], ["a", "a", "b"]),
        ("strict", CALLED, CALLED[:2]),
        ("unordered", [("a", {"x": 2}), "a", "b"], ["a", "b", "b"]),
        ("unordered", ["a", ("a", {"x": 1}), "b"], [("a", {"x": 1}), ("a", {"x": 1}), "b"]),
        ("subset", ["a", "a", "b", "c"], ["a", "b"]),
        ("superset", ["b"], ["b", "c"]),
        ("superset", [], [("b", {"x": 1})]),
    ],
)
def test_expected_tools(trace, order, right, wrong):
    """Each order accepts what it says, and its failure has what was expected, what was called and the tree."""

    @tool
    def a(x: int) -> str:
        """Do."""
        return "a"

    @tool
    def b() -> str:
        """Do."""
        return "b"

    a.invoke({"x": 1})
    b.invoke({})
    a.invoke({"x": 2})
    assert trace.tools() == CALLED
    trace.assert_tools(right, order=order)
    with pytest.raises(AssertionError) as failure:
        trace.assert_tools(wrong, order=order)
    assert f"expected: {wrong}" in str(failure.value) or not wrong
    assert str(failure.value).endswith(trace.tree())


def test_an_order_that_there_is_not(trace):
    """A misspelt order is an error that says which there are."""
    with pytest.raises(ValueError, match="order is 'any'; it must be one of strict, unordered, subset, superset"):
        trace.assert_tools([], order="any")


@pytest.mark.newest
def test_plain_data_is_the_same_each_time():
    """Spans as dictionaries have counted ids and times, so two runs of the same code give the same."""
    recorded = []
    for _ in range(2):
        with Trace() as trace:
            agent().invoke(ASKED)
        recorded.append(trace.to_dicts())
    assert recorded[0] == recorded[1]
    root, node, chat, *_ = recorded[0]
    assert (root["id"], root["start"], node["parent"], chat["parent"]) == (1, 1, 1, 2)
    assert chat["start"] == 3
    assert chat["end"] == 4
    assert root["end"] == 14
    assert chat["attributes"]["gen_ai.usage.input_tokens"] == 7


def test_a_call_that_its_sdk_traces_too_counts_once():
    """Of a model's span and the span of its SDK below, one counts."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("sdk")

    def answer(_):
        with tracer.start_as_current_span("chat m-1") as span:
            span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 3})
        return AIMessage("yes")

    with Trace(tracer_provider=provider) as trace:
        Model(answer=answer, usage=USAGE).invoke("a")
        Model(answer=answer).invoke("a")
    assert trace.tokens == (10, 5)


def test_a_tool_that_its_server_traces_too_counts_once():
    """Of a tool's span and the span of an MCP server below, one counts; a tool that calls itself counts twice."""
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("mcp")

    @tool
    def look(x: int) -> str:
        """Look."""
        with tracer.start_as_current_span("tools/call look") as span:
            span.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"})
            return look.invoke({"x": x - 1}) if x else "seen"

    with Trace(tracer_provider=provider) as trace:
        look.invoke({"x": 1})
        with tracer.start_as_current_span("tools/call other") as span:
            span.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "other"})
    assert trace.tools() == [("look", {"x": 1}), ("look", {"x": 0}), ("other", None)]


def test_where_no_span_is_made_it_says_so(monkeypatch):
    """With the SDK disabled a trace would be empty: that is an error, with what to do."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.raises(RuntimeError, match=r"OTEL_SDK_DISABLED is true, .*Unset it"):
        Trace()


def test_messages_of_another_form_are_left_out(tracing):
    """Messages that another library's span has in a form of its own are none, and the others are there."""
    found = json.dumps(["hi", {"role": "user", "content": "hi"}, {"role": "user", "parts": ["a", {"type": "text"}]}])
    with tracing.span("chat m") as span:
        span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.input.messages": found})
        span.set_attribute("gen_ai.output.messages", "no JSON")
    assert tracing.trace.messages() == [Message("user", "<text>")]


def test_deep_traces(trace):
    """A trace of many levels is written like any other."""
    chain = RunnableLambda(lambda x: x, name="last")
    for _ in range(60):
        chain = RunnableLambda(lambda x, inner=chain: inner.invoke(x), name="level")
    chain.invoke(1)
    assert trace.tree().splitlines()[-1] == "  " * 60 + "last"
