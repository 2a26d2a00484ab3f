"""Span processors of a handler hear each span of its invocations, whoever makes it, and no other."""

import asyncio
import contextlib
import gc
import logging
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider

import runspan
from runspan import CallbackSpanProcessor, OpenTelemetryCallbackHandler
from runspan._guard import faults
from runspan.testing import RecordedTrace
from tests.context.shapes import SHAPES
from tests.context.ways import WAYS, abatch, batch, call
from tests.fakes import Model, body, straight_graph
from tests.recorders import Driven, Processor
from tests.waiting import wait_until


def listener(tracing, *processors, **options):
    return OpenTelemetryCallbackHandler(span_processors=processors, tracer_provider=tracing.provider, **options)


class Answering(BaseHTTPRequestHandler):
    """Answers every request."""

    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Takes hundreds of connections at once."""

    request_queue_size = 512


@pytest.fixture
def server():
    """Serve HTTP; return the address."""
    with Server(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


CASES = [(shape, way) for shape in SHAPES for way in WAYS]
CASES.remove(("completion_in_chain", abatch))  # its request can't be found, see test_together.py


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("shape", "way"), [pytest.param(*case, id=f"{case[0]}-{case[1].__name__}") for case in CASES])
async def test_every_shape_called_every_way(tracing, shape, way):
    """What is heard is the trace of the invocation, without the caller's spans before, in and after it."""
    processor = Processor()
    tracing.handler = listener(tracing, processor)
    tracing.mark("caller")
    made = SHAPES[shape](tracing)
    with contextlib.suppress(ValueError):  # LangChain does not retry streams
        await call(way, tracing, made)
    tracing.mark("caller")

    expected = sorted(span.name for span in tracing.spans if span.name != "caller")
    assert sorted(processor.ended) == expected  # of two threads the processors hear in either order
    assert sorted(processor.started) == expected
    assert len(processor.trace_ids) == (2 if way in {batch, abatch} else 1)


async def test_200_invocations_at_once(tracing, server):
    """Each of 200 concurrent invocations, sync and async, has its own spans and HTTP calls in its own processor."""
    processors = {number: Processor() for number in range(200)}

    with httpx2.Client(timeout=60) as client:
        async with httpx2.AsyncClient(timeout=60) as aclient:
            HTTPX2ClientInstrumentor.instrument_client(client, tracer_provider=tracing.provider)
            HTTPX2ClientInstrumentor.instrument_client(aclient, tracer_provider=tracing.provider)

            def fetch(number):
                with tracing.span(f"own {number}"):
                    client.get(f"{server}/{number}")
                return number

            async def afetch(number):
                with tracing.span(f"own {number}"):
                    await aclient.get(f"{server}/{number}")
                return number

            def ask(number):
                chain = RunnableLambda(fetch, afunc=afetch, name=f"fetch {number}") | body(tracing, f"work {number}")
                return chain.with_config(run_name=f"chain {number}", callbacks=[listener(tracing, processors[number])])

            with ThreadPoolExecutor(20) as pool:
                loop = asyncio.get_running_loop()
                sync = [loop.run_in_executor(pool, ask(number).invoke, number) for number in range(100)]
                await asyncio.gather(*sync, *(ask(number).ainvoke(number) for number in range(100, 200)))

    for number, processor in processors.items():
        expected = [
            f"chain {number}",
            f"fetch {number}",
            f"own {number}",
            "GET",
            f"work {number}",
            f"work {number} work",
        ]
        assert sorted(processor.ended) == sorted(processor.started) == sorted(expected)
        assert len(processor.trace_ids) == 1


def test_threads_that_carry_the_context(tracing):
    """Spans in threads that were started with the context of a run belong to its invocation, also below a user's."""
    processor = Processor()

    def work(given):
        context = copy_context()
        thread = threading.Thread(target=context.run, args=(tracing.mark, "in a thread"))
        thread.start()
        thread.join()
        with tracing.span("own") as own, ThreadPoolExecutor(1) as pool:
            pool.submit(in_a_context_of_its_own, tracing, own).result()
        return given

    RunnableLambda(work).invoke("x", {"callbacks": [listener(tracing, processor)]})
    assert processor.started == ["work", "in a thread", "own", "by hand"]


def in_a_context_of_its_own(tracing, parent):
    context = trace.set_span_in_context(parent, Context())
    tracing.tracer.start_span("by hand", context).end()


async def test_a_task_that_outlives_its_invocation(tracing):
    """What a background task opens belongs to the invocation while a run or a span of it is open there."""
    processor = Processor()
    go_on = asyncio.Event()
    tasks = []

    async def late():
        with tracing.span("late"):
            await go_on.wait()
            await body(tracing, "inner").ainvoke("x", tracing.config)
            tracing.mark("later")

    async def work(given):
        tasks.append(asyncio.create_task(late()))
        await asyncio.sleep(0)
        return given

    await RunnableLambda(work).ainvoke("x", {"callbacks": [listener(tracing, processor)]})
    assert processor.ended == ["work"]
    tracing.mark("caller")
    go_on.set()
    await tasks[0]
    tracing.mark("caller")
    assert processor.started == ["work", "late", "inner", "inner work", "later"]
    assert processor.ended == ["work", "inner work", "inner", "later", "late"]


def test_a_span_that_ends_after_its_invocation(tracing):
    """It reaches the processors that heard it start."""
    processor = Processor()
    spans = []
    start = RunnableLambda(lambda _: spans.append(tracing.tracer.start_span("long")))
    start.invoke("x", {"callbacks": [listener(tracing, processor)]})
    assert processor.ended == ["RunnableLambda"]
    spans.pop().end()
    assert processor.ended == ["RunnableLambda", "long"]


def test_nested_handlers_add_up(tracing):
    """A handler at runtime, one inside a node and one in a constructor: each hears its own subtree, nothing twice."""
    outer, inner, innermost, everything = Processor(), Processor(), Processor(), Processor()
    tracing.provider.add_span_processor(everything)
    model = Model(tracing=tracing, callbacks=[listener(tracing, innermost)])
    chain = body(tracing, "before") | model

    def node(state):
        chain.invoke("x", {"callbacks": [listener(tracing, inner)]})
        tracing.mark("after")
        return {"values": ["a"]}

    straight_graph(node=node).invoke({"values": []}, {"callbacks": [listener(tracing, outer)]})
    assert innermost.started == ["chat", "http"]
    assert inner.started == ["RunnableSequence", "before", "before work", "chat", "http"]
    assert outer.started == ["invoke_workflow", "node", *inner.started, "after"]
    assert everything.started == outer.started
    assert len(tracing.spans) == len(outer.started)


@pytest.mark.parametrize("is_first", [True, False])
def test_handlers_of_one_run_share_its_span(tracing, is_first):
    """Two handlers of one invocation make one span for each run; both have all of it, in whatever order they come."""
    one, other, both = Processor(), Processor(), Processor()
    handlers = [listener(tracing, one, both), listener(tracing, other, both), tracing.handler]
    body(tracing, "work").invoke("x", {"callbacks": handlers if is_first else handlers[::-1]})
    for processor in (one, other, both):
        assert processor.started == ["work", "work work"]
        assert processor.ended == ["work work", "work"]
    assert len(tracing.spans) == 2


def test_the_strictest_handler_decides_about_content(tracing):
    """A span that two handlers share has no content if one of them wants none."""
    from runspan import Settings

    strict = listener(tracing, settings=Settings(capture_content="none"))
    for handlers in ([tracing.handler, strict], [strict, tracing.handler]):
        Model(tracing=tracing).invoke("secret", {"callbacks": handlers, "tags": ["secret"]})
    assert len(tracing.named("chat")) == 2
    assert "secret" not in str([span.to_json() for span in tracing.spans])


def test_handlers_on_two_providers(tracing):
    """A handler hears also the spans that instrumentation makes on the global provider, and other handlers' runs."""
    processor = Processor()
    own = TracerProvider(shutdown_on_exit=False)
    handler = OpenTelemetryCallbackHandler(span_processors=[processor], tracer_provider=own)
    listener(tracing, Processor())  # has the other provider routed, as the global one always is
    body(tracing, "work").invoke("x", {"callbacks": [handler, tracing.handler]})
    assert processor.started == ["work", "work", "work work"]
    assert processor.ended == ["work work", "work", "work"]


def test_a_processor_that_raises(tracing, caplog):
    """Neither the run nor another processor feels it; it is counted, and logged once with its name."""

    class Raising(Processor):
        def on_start(self, span, parent_context=None):
            raise ValueError("no")

        def on_end(self, span):
            raise ValueError("no")

    processor, before = Processor(), faults()
    handler = listener(tracing, Raising(), processor)
    for _ in range(2):
        assert body(tracing, "work").invoke("x", {"callbacks": [handler]}) == "x"
    assert processor.ended == ["work work", "work"] * 2
    assert faults() - before == 8
    (start, end) = [record.getMessage() for record in caplog.records]
    assert "Raising.on_start failed with ValueError" in start
    assert "Raising.on_end failed with ValueError" in end


def test_sampled_out(tracing):
    """Span processors hear no span that is not recorded, callback handlers hear the runs all the same."""
    processor, driven = Processor(), Driven()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    handler = OpenTelemetryCallbackHandler(callbacks=[driven], span_processors=[processor], tracer_provider=provider)
    body(tracing, "work").invoke("x", {"callbacks": [handler]})
    assert processor.started == []
    assert driven.runs == ["on_chain_start work"]
    assert driven.events == ["on_chain_start", "on_chain_end"]


@pytest.mark.parametrize("provider", [None, NoOpTracerProvider()])
def test_without_an_sdk_provider(monkeypatch, caplog, provider):
    """A handler with listeners brings a provider of its own, says so, and its listeners hear all the same."""
    caplog.set_level(logging.INFO, "runspan")
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider or trace.ProxyTracerProvider())
    processor, driven = Processor(), Driven()
    handler = OpenTelemetryCallbackHandler(callbacks=[driven], span_processors=[processor])
    chain = RunnableLambda(lambda x: x, name="one") | RunnableLambda(lambda x: x, name="two")
    chain.invoke("x", {"callbacks": [handler]})
    assert processor.started == ["RunnableSequence", "one", "two"]
    assert [run.split()[1] for run in driven.runs] == ["RunnableSequence", "one", "two"]


def test_the_provider_that_is_set_later(tracing, monkeypatch):
    """A handler that began with a provider of its own goes over to the one that the application sets."""
    processor = Processor()
    handler = OpenTelemetryCallbackHandler(span_processors=[processor])
    body(tracing, "early").invoke("x", {"callbacks": [handler]})
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracing.provider)
    body(tracing, "late").invoke("x", {"callbacks": [handler]})
    assert processor.started == ["early", "late", "late work"]
    assert [span.name for span in tracing.spans if span.name != "early work"] == ["late work", "late"]


def test_a_provider_that_takes_no_processors():
    """To name one for a handler with listeners is an error that names it."""
    with pytest.raises(TypeError, match=r"tracer_provider is <.*NoOpTracerProvider.*takes no span processors"):
        OpenTelemetryCallbackHandler(callbacks=[Driven()], tracer_provider=NoOpTracerProvider())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"callbacks": [Driven(), 7]}, r"callbacks\[1\] is 7; it must be an instance of BaseCallbackHandler\."),
        ({"callbacks": [Driven]}, r"callbacks\[0\] is <class .*Driven'>; .* That is a class: make an instance"),
        ({"callbacks": Driven()}, r"callbacks is <.*Driven object.*>; it must be a list of"),
        ({"callbacks": None}, r"callbacks is None; it must be a list of"),
        (
            {"callbacks": [Processor()]},
            r"callbacks\[0\] is <.*> A span|callbacks\[0\] is .* A span processor goes into",
        ),
        ({"span_processors": "x"}, r"span_processors is 'x'; it must be a list of"),
        ({"span_processors": [None]}, r"span_processors\[0\] is None; it must be an instance of"),
        ({"span_processors": [Driven()]}, r"span_processors\[0\] is .* A callback handler goes into callbacks"),
    ],
)
def test_wrong_types(options, message):
    """A listener of the wrong type is an error at construction that names the value and what to do."""
    with pytest.raises(TypeError, match=message):
        OpenTelemetryCallbackHandler(**options)


def test_an_exporter_is_no_processor(tracing):
    """An exporter given as a processor is told what it lacks."""
    with pytest.raises(TypeError, match=r"span_processors\[0\] .* An exporter needs a processor around it"):
        listener(tracing, tracing.exporter)


def test_flush_and_shutdown_reach_the_processors(tracing):
    """A flush has each processor deliver, a shutdown shuts each down, once; both say whether all was delivered."""

    class Slow(Processor):
        def force_flush(self, timeout_millis=30_000):
            return False

    one, two = Processor(), Processor()
    handler = listener(tracing, one, two, one, CallbackSpanProcessor([Driven()]))
    assert handler.force_flush() is True
    assert handler.shutdown() is True
    assert one.calls == two.calls == ["force_flush", "force_flush", "shutdown"]
    assert listener(tracing, Slow()).force_flush() is False


@pytest.mark.parametrize("hanging", ["force_flush", "shutdown", "both"])
def test_a_shutdown_has_one_deadline(tracing, hanging):
    """Whatever hangs in one processor, a shutdown takes no longer than it may, and the others are shut down."""
    may_end = threading.Event()

    class Hanging(Processor):
        def force_flush(self, timeout_millis=30_000):
            return hanging == "shutdown" or may_end.wait(60)

        def shutdown(self):
            super().shutdown()
            if hanging != "force_flush":
                may_end.wait(60)

    hung, other = Hanging(), Processor()
    handler = listener(tracing, hung, other)
    began = time.monotonic()
    delivered = handler.shutdown(timeout=2)
    took = time.monotonic() - began
    may_end.set()
    assert (delivered, took < 3.5) == (hanging == "shutdown", True)
    wait_until(lambda: hung.calls[-1:] == other.calls[-1:] == ["shutdown"])


def test_nothing_is_kept(tracing):
    """What a handler per request brings is garbage after its request, also when spans in it never ended."""
    kept = []
    for _ in range(3):
        processor = Processor()
        handler = listener(tracing, processor)
        kept += [weakref.ref(processor), weakref.ref(handler)]

        def work(given):
            tracing.tracer.start_span("never ended")
            tracing.mark("work")
            return given

        RunnableLambda(work).invoke("x", {"callbacks": [handler]})
        del handler, processor
    tracing.settle()
    deadline = time.monotonic() + 20
    while any(each() for each in kept) and time.monotonic() < deadline:
        gc.collect()
        with runspan.invocation(span_processors=[Processor()], tracer_provider=tracing.provider):
            tracing.mark("the next")
        time.sleep(0.05)
    assert [each() for each in kept] == [None] * 6


def test_a_span_that_a_collection_ends(tracing):
    """A span in a generator that is collected in a cycle reaches the processors that heard it start."""
    processor = Processor()

    def steps(cycle):
        with tracing.span("of a generator"):
            yield cycle

    def work(given):
        cycle = []
        cycle.append(steps(cycle))
        next(cycle[0])
        return given

    RunnableLambda(work).invoke("x", {"callbacks": [listener(tracing, processor)]})
    gc.collect()
    assert processor.ended == ["work", "of a generator"]


def test_the_tree_that_a_processor_gets(tracing):
    """The spans that it gets make a tree of valid parents."""
    spans = []

    class Keeping(Processor):
        def on_end(self, span):
            spans.append(span)

    shape = SHAPES["agent"](tracing)
    shape.runnable.invoke(shape.given, {"callbacks": [listener(tracing, Keeping())]})
    assert RecordedTrace(tuple(spans)).tree() == tracing.text()
