"""What is done for runs that are not sampled: nothing, where that is certain beforehand."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Event, Thread
from uuid import uuid4

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NoOpTracerProvider, SpanContext, TraceFlags

from benchmarks.workloads import Model
from runspan import OpenTelemetryCallbackHandler, payload
from runspan.runs.sampling import dropped_below


class Derived(ParentBased):
    """Samples models, whatever their parent is."""

    def should_sample(self, parent_context, trace_id, name, *args, **kwargs):
        """Look at the name."""
        sampler = ALWAYS_ON if name.startswith("chat") else ALWAYS_OFF
        return sampler.should_sample(parent_context, trace_id, name, *args, **kwargs)


class RecordsOnly(Sampler):
    """Has spans recorded that are not exported."""

    def should_sample(self, *args, **kwargs):
        """Record."""
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self):
        """Return a name."""
        return "RecordsOnly"


def context(*, is_remote=False, is_sampled=False):
    """Return the ids of a parent."""
    return SpanContext(1, 1, is_remote, TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT))


@pytest.mark.parametrize(
    ("sampler", "below_root", "below_dropped"),
    [
        (ALWAYS_OFF, True, True),
        (ALWAYS_ON, False, False),
        (DEFAULT_ON, False, True),
        (DEFAULT_OFF, False, True),
        (ParentBased(TraceIdRatioBased(0.1)), False, True),
        (ParentBased(ALWAYS_ON, local_parent_not_sampled=TraceIdRatioBased(0.1)), False, False),
        (Derived(ALWAYS_ON), False, False),
        (RecordsOnly(), False, False),
    ],
    ids=["off", "on", "parent", "parent or off", "ratio", "ratio below", "derived", "own"],
)
def test_only_own_samplers_are_certain(sampler, below_root, below_dropped):
    """What OpenTelemetry's samplers drop below a parent is known beforehand; a derived class may do anything."""
    is_dropped = dropped_below(TracerProvider(sampler=sampler, shutdown_on_exit=False))
    assert is_dropped(INVALID_SPAN_CONTEXT) is below_root
    assert is_dropped(context()) is below_dropped
    assert is_dropped(context(is_sampled=True)) is is_dropped(context(is_remote=True)) is below_root


def test_nothing_is_sampled_without_the_sdk():
    """A provider of the API alone samples nothing."""
    assert dropped_below(NoOpTracerProvider())(INVALID_SPAN_CONTEXT)


def traced(sampler):
    """Return the names of the spans of a chain with a sampler, those of what was read, and what was current within."""
    exporter, current = InMemorySpanExporter(), []
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider)

    class Asking(Model):
        def _generate(self, *args, **kwargs):
            current.append(trace.get_current_span().get_span_context())
            return super()._generate(*args, **kwargs)

    chain = ChatPromptTemplate.from_template("What is 1 + {number}?") | Asking()
    chain.invoke({"number": "2"}, {"callbacks": [handler]})
    assert handler.open_runs == 0
    return [span.name for span in exporter.get_finished_spans()], current[0]


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, DEFAULT_OFF], ids=["off", "parent or off"])
def test_runs_that_are_dropped_are_not_read(monkeypatch, sampler):
    """Below a run that is not sampled nothing is read; what is current there has a trace id and is not sampled."""
    read = []
    model_start = payload.model_start
    monkeypatch.setattr(
        payload, "model_start", lambda *args, **keywords: read.append(1) or model_start(*args, **keywords)
    )
    spans, current = traced(sampler)
    assert (spans, read) == ([], [])
    assert current.is_valid
    assert not current.trace_flags.sampled


def test_a_sampler_of_the_application_sees_each_run():
    """A model below a chain that is not sampled is sampled, if the application's sampler says so by its name."""
    spans, current = traced(Derived(ALWAYS_ON))
    assert spans == ["chat bench"]
    assert current.trace_flags.sampled


def test_what_is_recorded_and_not_sampled_is_read():
    """A span that is recorded for processors alone has the attributes of its run."""
    ended = []
    provider = TracerProvider(sampler=ParentBased(RecordsOnly()), shutdown_on_exit=False)

    class Keeping(SimpleSpanProcessor):
        def on_end(self, span):
            ended.append(span)

    provider.add_span_processor(Keeping(InMemorySpanExporter()))
    Model().invoke("hi", {"callbacks": [OpenTelemetryCallbackHandler(tracer_provider=provider)]})
    assert [span.attributes["gen_ai.usage.input_tokens"] for span in ended] == [16]


def unseen_handler():
    """Make a handler of whose runs nothing is recorded."""
    return OpenTelemetryCallbackHandler(tracer_provider=TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))


def trace_id():
    """Return the trace id of what is current."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


def test_runs_within_a_dropped_one_are_known_by_their_ids():
    """They count as open until they end, have the trace id of the run around them, and what is current has it, too."""
    handler, seen = unseen_handler(), {}

    class Looking(Model):
        def _generate(self, *args, run_manager, **keywords):
            seen[run_manager.run_id] = handler.open_runs, trace_id()
            return super()._generate(*args, **keywords)

    prompt = ChatPromptTemplate.from_template("What is 1 + {number}?")
    RunnableLambda(lambda x: (prompt | Looking()).invoke({"number": x})).invoke("2", {"callbacks": [handler]})
    ((run_id, (count, current)),) = seen.items()
    assert (count, handler.open_runs) == (3, 0)
    assert handler.trace_id_for(run_id) == current


def test_runs_without_an_end_within_a_dropped_one_are_over_with_it():
    """Nobody may report the end of a tool that is cancelled; of however many nothing is left."""
    handler, run_id = unseen_handler(), uuid4()

    def start_tools(count):
        for _ in range(count):
            handler.on_tool_start({}, "x", run_id=uuid4(), parent_run_id=run_id)

    handler.on_chain_start({}, "x", run_id=run_id)
    start_tools(1100)
    assert handler.open_runs == 1101
    handler.on_chain_end("y", run_id=run_id)
    assert handler.open_runs == 0


async def test_what_goes_on_after_a_dropped_run_stays_in_its_trace():
    """A task that outlives the invocation which began it starts runs in the same trace, which is not recorded."""
    handler, seen, is_over, tasks = unseen_handler(), [], asyncio.Event(), []

    async def look(_):
        seen.append(trace_id())

    async def work(_):
        await RunnableLambda(look).ainvoke(1)
        await is_over.wait()
        await (RunnableLambda(look) | RunnableLambda(look)).ainvoke(1)

    async def begin(_):
        seen.append(trace_id())
        tasks.append(asyncio.create_task(RunnableLambda(work).ainvoke(1)))
        await asyncio.sleep(0)

    await RunnableLambda(begin).ainvoke(1, {"callbacks": [handler]})
    is_over.set()
    await asyncio.gather(*tasks)
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert handler.open_runs == 0


def test_a_span_of_the_user_within_a_dropped_run_is_the_parent_of_what_starts_in_it():
    """A recorded span that is opened within a run which is not sampled has the runs within it as its children."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=DEFAULT_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider)
    other = TracerProvider(shutdown_on_exit=False)

    def work(_):
        with other.get_tracer("the user's").start_as_current_span("work", context=Context()):
            return RunnableLambda(lambda x: x, name="within").invoke(1)

    RunnableLambda(work).invoke(1, {"callbacks": [handler]})
    assert [span.name for span in exporter.get_finished_spans()] == ["within"]


def test_a_thread_that_outlives_a_dropped_run_stays_in_its_trace():
    """It began in the body of a run within that one, and has its context: no trace begins, none is sampled anew."""
    handler, seen, is_over, threads = unseen_handler(), [], Event(), []

    def late():
        is_over.wait(10)
        seen.append(trace_id())
        RunnableLambda(lambda _: seen.append(trace_id())).invoke(1)

    def work(_):
        seen.append(trace_id())
        threads.append(Thread(target=copy_context().run, args=(late,)))
        threads[0].start()

    (RunnableLambda(lambda x: x) | RunnableLambda(work)).invoke(1, {"callbacks": [handler]})
    assert not trace.get_current_span().get_span_context().is_valid
    is_over.set()
    threads[0].join()
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_a_thread_that_knows_a_run_within_a_dropped_one_by_name_alone_stays_in_its_trace():
    """Without the context, what LangChain's config names as parent counts: no trace begins, none is sampled anew."""
    handler, seen = unseen_handler(), []
    look = RunnableLambda(lambda _: seen.append(trace_id()))

    def work(_, config):
        seen.append(trace_id())
        with ThreadPoolExecutor() as threads:
            threads.submit(look.invoke, 1, config).result()

    (RunnableLambda(lambda x: x) | RunnableLambda(work)).invoke(1, {"callbacks": [handler]})
    assert len(seen) == 2
    assert len(set(seen)) == 1
    assert handler.open_runs == 0
