"""Spans that users open around and between runs."""

import asyncio

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool as make_tool
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.fakes import Model, State, body, straight_graph, tool
from tests.tracing import sorted_text

pytestmark = pytest.mark.usefixtures("quiet")


def _both(run, arun, name):
    return RunnableLambda(run, afunc=arun, name=name)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_span_opened_in_a_run_is_the_parent_of_the_runs_in_it(tracing, way):
    """A user's span inside a lambda has the lambda as parent, and the runs called within it as children."""
    inner = ChatPromptTemplate.from_template("{x}") | Model(tracing=tracing)

    def run(given):
        with tracing.span("rerank"):
            answer = inner.invoke(given)
        tracing.mark("after")
        return answer

    async def arun(given):
        with tracing.span("rerank"):
            answer = await inner.ainvoke(given)
        tracing.mark("after")
        return answer

    chain = body(tracing, "first") | _both(run, arun, "outer")
    with tracing.span("request"):
        if way == "invoke":
            chain.invoke({"x": 1}, tracing.config)
        elif way == "ainvoke":
            await chain.ainvoke({"x": 1}, tracing.config)
        elif way == "stream":
            list(chain.stream({"x": 1}, tracing.config))
        else:
            _ = [chunk async for chunk in chain.astream({"x": 1}, tracing.config)]
    assert (
        tracing.text()
        == """\
request
  RunnableSequence
    first
      first work
    outer
      rerank
        RunnableSequence
          ChatPromptTemplate
          chat
            http
      after"""
    )


def test_a_span_opened_around_a_stream_is_not_within_it(tracing):
    """A span that the consumer opens around its reading is the parent of the stream, never its child."""
    chain = body(tracing, "first") | Model(tracing=tracing)
    with tracing.span("request"):
        stream = chain.stream("x", tracing.config)
        for number in range(5):
            with tracing.span(f"read {number}"):
                next(stream, None)
    assert (
        tracing.text(outliving="RunnableSequence")
        == """\
request
  read 0
    RunnableSequence
      first
        first work
      chat
        http
  read 1
  read 2
  read 3
  read 4"""
    )


def test_a_graph_read_within_a_later_span_keeps_its_nodes(tracing):
    """A node that starts while the consumer has opened another span is under the graph, not under that span."""
    graph = straight_graph(one=lambda state: {"values": [1]}, two=lambda state: {"values": [2]})
    stream = graph.stream({"values": []}, tracing.config)
    next(stream)
    with tracing.span("second"):
        next(stream)
    list(stream)
    assert tracing.text() == "invoke_workflow\n  one\n  two\nsecond"


async def test_gather_in_a_run(tracing):
    """Tasks that a lambda gathers are each under the lambda, and so are their runs."""

    async def one(name):
        await asyncio.sleep(0)
        tracing.mark(f"{name} before")
        await body(tracing, name).ainvoke("x")
        tracing.mark(f"{name} after")

    async def run(x):
        await asyncio.gather(one("a"), one("b"))
        return x

    await RunnableLambda(lambda x: x, afunc=run, name="outer").ainvoke("x", tracing.config)
    outer = tracing.one("outer")
    for name in ("a before", "b before", "a", "b", "a after", "b after"):
        assert tracing.one(name).parent == outer.context
    assert tracing.one("a work").parent == tracing.one("a").context
    assert tracing.one("b work").parent == tracing.one("b").context


async def test_gather_in_a_node(tracing):
    """Tasks that a node of a graph gathers are under the node, with the runs and spans in them."""

    async def ask(name):
        with tracing.span(name):
            await Model(tracing=tracing).ainvoke("x")

    async def node(state: State) -> State:
        await asyncio.gather(ask("a"), ask("b"))
        return {"values": [1]}

    graph = straight_graph(wide=node)
    await graph.ainvoke({"values": []}, tracing.config)
    assert sorted_text(tracing.text()) == (
        "invoke_workflow\n  wide\n    a\n      chat\n        http\n    b\n      chat\n        http"
    )


async def test_gather_in_a_tool(tracing):
    """Tasks and threads that a tool waits for are under the tool."""

    async def part():
        await asyncio.sleep(0)
        tracing.mark("part")

    @make_tool
    async def wide(x: str) -> str:
        """Do much at once."""
        await asyncio.gather(part(), part(), asyncio.to_thread(tracing.mark, "part"))
        return x

    await wide.ainvoke("x", tracing.config)
    assert tracing.text() == "execute_tool wide\n  part\n  part\n  part"


def test_attributes_set_on_the_current_span_reach_the_run(tracing):
    """Inside a run the current span takes attributes, events, a name and a status for the run's own span."""

    def run(x):
        span = trace.get_current_span()
        span.set_attribute("user.id", "u1")
        span.set_attributes({"user.team": "t1"})
        span.add_event("cached")
        span.update_name("renamed")
        span.record_exception(ValueError("handled"))
        span.add_link(other.get_span_context())
        span.set_status(trace.StatusCode.ERROR, "too late")
        assert span.is_recording()
        assert span.name == "renamed"
        assert dict(span.attributes)["user.id"] == "u1"
        span.end()
        return x

    other = tracing.tracer.start_span("other")
    RunnableLambda(run, name="outer").invoke("x", tracing.config)
    span = tracing.one("renamed")
    assert [link.context for link in span.links] == [other.get_span_context()]
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, "too late")
    assert span.attributes["user.team"] == "t1"
    assert [event.name for event in span.events] == ["cached", "exception"]


def test_what_is_left_of_a_run_answers_for_the_caller(tracing):
    """After the call the current span is the caller's own, whatever is asked of it."""
    with tracing.span("request") as request:
        tool(tracing).invoke({"x": 1}, tracing.config)
        span = trace.get_current_span()
        assert span.get_span_context() == request.get_span_context()
        span.set_attribute("user.id", "u1")
    assert tracing.one("request").attributes["user.id"] == "u1"
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_trace_from_elsewhere_is_joined(tracing):
    """A remote parent, as a web server sets it, is the parent of the root run."""
    carrier = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    token = context.attach(TraceContextTextMapPropagator().extract(carrier))
    body(tracing, "one").invoke("x", tracing.config)
    context.detach(token)
    span = tracing.one("one")
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


def test_where_instrumentation_is_suppressed(tracing):
    """No run has a span where the context says that none is wanted, and what was current stays so."""
    with tracing.span("caller"):
        token = context.attach(context.set_value("suppress_instrumentation", True))
        body(tracing, "one").invoke("x", tracing.config)
        context.detach(token)
        body(tracing, "two").invoke("x", tracing.config)
    assert tracing.text() == "caller\n  one work\n  two\n    two work"


def test_a_tool_is_current_at_any_depth_of_its_stack(tracing):
    """However deep the tool's code is when it asks, and wherever it asked before, its run is the current span, and no
    longer after its end."""

    def ask(depth):
        return ask(depth - 1) if depth else trace.get_current_span().get_span_context().span_id

    @make_tool
    def nested(x: str) -> str:
        """Ask at several depths."""
        return " ".join({f"{ask(depth):x}" for depth in (0, 50, 300, 50, 0, 300)})

    with tracing.span("request") as request:
        answer = nested.invoke({"x": "?"}, {"callbacks": [tracing.handler]})
        after = ask(50)
    (tool_span,) = (span for span in tracing.spans if span.name == "execute_tool nested")
    assert (answer, after) == (f"{tool_span.context.span_id:x}", request.get_span_context().span_id)
