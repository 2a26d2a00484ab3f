"""Whole traces that are kept in the process: errors, slow ones, a share; bounded by bytes."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, Status, StatusCode, set_span_in_context

from runspan import KeepingSpanProcessor, OneCallSpanProcessor, OpenTelemetryCallbackHandler
from runspan.testing import RecordedTrace
from tests.fakes import Model
from tests.programs import run_python
from tests.recorders import Processor

SECOND = 1_000_000_000


class Kept:
    """A provider of which an exporter in memory gets the traces that are kept."""

    def __init__(self, **options):
        self.exporter = InMemorySpanExporter()
        self.processor = KeepingSpanProcessor(SimpleSpanProcessor(self.exporter), **options)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("test")

    def start(self, name, parent=None, at=0):
        """Start a span at a second."""
        context = set_span_in_context(NonRecordingSpan(parent.get_span_context())) if parent else None
        return self.tracer.start_span(name, context, start_time=SECOND + at * SECOND)

    def trace(self, name, *, error=False, seconds=0):
        """Make a trace of a root and two children, the first of which may fail."""
        root = self.start(name)
        end(self.start(f"{name} 1", root), error=error)
        end(self.start(f"{name} 2", root))
        end(root, seconds)

    @property
    def names(self):
        return sorted(span.name for span in self.exporter.get_finished_spans())

    @property
    def bytes(self):
        return self.processor._open.bytes


def end(span, at=0, *, error=False):
    if error:
        span.set_status(Status(StatusCode.ERROR))
    span.end(SECOND + int(at * SECOND))


def whole(*names):
    return sorted(each for name in names for each in (name, f"{name} 1", f"{name} 2"))


def test_whole_traces_with_errors_are_kept():
    """A trace with an error is passed on whole, what ended before it and after it; one without is left out."""
    kept = Kept()
    kept.trace("good")
    kept.trace("bad", error=True)
    assert kept.names == whole("bad")
    assert kept.bytes == 0


def test_an_error_is_passed_on_at_once():
    """What waits in a trace goes on as soon as one of its spans has failed, not only at the end of the root."""
    kept = Kept()
    root = kept.start("root")
    end(kept.start("before", root))
    assert kept.names == []
    end(kept.start("failed", root), error=True)
    assert kept.names == ["before", "failed"]
    end(kept.start("after", root))
    assert kept.names == ["after", "before", "failed"]
    end(root)


def test_slow_traces_are_kept():
    """A trace that takes so many seconds is kept; without errors=True one that fails fast is not."""
    kept = Kept(errors=False, slower_than=5)
    kept.trace("fast", error=True, seconds=4.9)
    kept.trace("slow", seconds=5)
    assert kept.names == whole("slow")


def test_a_trace_is_slow_though_no_span_is():
    """The time counts from the first start in the trace, so spans one after another make it slow, too."""
    kept = Kept(slower_than=5)
    first = kept.start("first")
    second = kept.start("second", first, at=3)
    end(first, at=3)
    end(second, at=6)
    assert kept.names == ["first", "second"]


@given(st.floats(0, 1), st.integers(1, 2**128 - 1))
def test_a_share_of_all_traces_is_kept(share, trace_id):
    """The trace id decides, as it does for the ratio sampler of OpenTelemetry."""

    class Ids(RandomIdGenerator):
        def generate_trace_id(self):
            return trace_id

    kept = Kept(share=share)
    kept.provider.id_generator = Ids()
    kept.tracer = kept.provider.get_tracer("with ids")
    kept.trace("any")
    is_sampled = TraceIdRatioBased(share).should_sample(None, trace_id, "any").decision.is_sampled()
    assert kept.names == (whole("any") if is_sampled else [])


def test_what_outlives_the_root_decides_as_well():
    """A trace is left out when nothing of it is open any more, not when its root ends."""
    kept = Kept()
    root = kept.start("root")
    late = kept.start("late", root)
    end(root)
    end(late, error=True)
    assert kept.names == ["late", "root"]


def test_what_comes_later_follows():
    """What starts in a kept trace that seemed to be over is passed on; in one that was left out it is judged alone."""
    kept = Kept()
    bad, good = kept.start("bad"), kept.start("good")
    end(bad, error=True)
    end(good)
    end(kept.start("in bad", bad))
    end(kept.start("in good", good))
    end(kept.start("fails in good", good), error=True)
    assert kept.names == ["bad", "fails in good", "in bad"]


def test_a_span_that_began_before():
    """A span that was open before the processor was added is judged when it ends."""
    provider = TracerProvider(shutdown_on_exit=False)
    good, bad = (provider.get_tracer("test").start_span(name) for name in ("good", "bad"))
    heard = Processor()
    provider.add_span_processor(KeepingSpanProcessor(heard))
    end(good)
    end(bad, error=True)
    assert heard.ended == ["bad"]


def test_where_there_is_no_room_the_oldest_goes_on():
    """Spans take no more memory than they may; the traces that wait longest are passed on undecided, whole."""
    kept = Kept(max_bytes=200_000)
    roots = [kept.start(f"root {number}") for number in range(50)]
    for number, root in enumerate(roots):
        child = kept.start(f"child {number}", root)
        child.set_attribute("text", "x" * 10_000)
        end(child)
        assert kept.bytes <= 200_000
    passed_on = len(kept.names)
    assert 25 < passed_on < 45
    for root in roots:
        end(root)
    expected = [f"{kind} {number}" for number in range(passed_on) for kind in ("root", "child")]
    assert kept.names == sorted(expected)
    assert kept.bytes == 0


def test_spans_that_never_end_take_no_room_for_ever():
    """Traces of which nothing ends make room for others."""
    kept = Kept(max_bytes=100_000)
    forgotten = [kept.start("never ended") for _ in range(1_000)]
    kept.trace("good")
    assert kept.bytes <= 100_000
    assert len(kept.processor._open.oldest_first()) <= 100
    assert len(forgotten) == 1_000


def test_a_shutdown_passes_on_what_is_undecided():
    """What is open at the end may be what failed: its trace is passed on; a flush only flushes the inner processor."""
    inner = Processor()
    processor = KeepingSpanProcessor(inner)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    with provider.get_tracer("test").start_as_current_span("root"):
        provider.get_tracer("test").start_span("child").end()
        assert processor.force_flush(1_000)
        assert inner.ended == []
        provider.shutdown()
    assert inner.ended[0] == "child"
    assert inner.calls == ["force_flush", "shutdown"]


def test_the_inner_processor_hears_every_start():
    """Starts can't wait: a processor may change a span only then."""
    inner = Processor()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(KeepingSpanProcessor(inner))
    provider.get_tracer("test").start_span("good").end()
    assert (inner.started, inner.ended) == (["good"], [])


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 9)), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_traces_are_whole_or_absent(shape, random):
    """Whatever order the spans end in, a trace is there whole if one failed or came late, else not at all."""
    kept = Kept(slower_than=8)
    roots = [kept.start(str(number)) for number in range(6)]
    spans = [(number, roots[number], False, 0) for number in range(6)]
    for number, error, at in shape:
        spans.append((number, kept.start(str(number), roots[number]), error, at))
    random.shuffle(spans)
    for _, span, error, at in spans:
        end(span, at, error=error)
    wanted = {number for number, _, error, at in spans if error or at >= 8}
    assert kept.names == sorted(str(number) for number, *_ in spans if number in wanted)
    assert kept.bytes == 0


def test_many_threads_end_spans_of_the_same_traces():
    """No span is lost, passed on twice or counted for ever, whichever thread comes first."""
    kept = Kept(max_bytes=50_000)
    roots = [kept.start(f"bad {number}" if number % 2 else "good") for number in range(40)]
    barrier = threading.Barrier(8)

    def work(thread):
        barrier.wait(30)
        for number, root in enumerate(roots):
            end(kept.start(f"{root.name} {thread}", root), error=number % 2 == 1 and thread == 3)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for root in roots:
        end(root)
    bad = [name for name in kept.names if name.startswith("bad")]
    expected = [name for n in range(1, 40, 2) for name in (f"bad {n}", *(f"bad {n} {thread}" for thread in range(8)))]
    assert bad == sorted(expected)
    assert kept.bytes == 0
    assert kept.processor._open.oldest_first() == []


def test_a_forked_child_repeats_nothing():
    """What waits in the parent process is the parent's to pass on."""
    ended = run_python("""
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace import Status, StatusCode
        from tests.test_keeping import Kept, end
        kept = Kept()
        root = kept.start("root")
        end(kept.start("child", root))
        if (child := os.fork()) == 0:
            end(kept.start("in the fork", root), error=True)
            kept.processor.shutdown()
            emit(kept.names)
            os._exit(0)
        os.waitpid(child, 0)
        end(root, error=True)
        emit(kept.names)
    """)
    assert ended.emitted == [["in the fork"], ["child", "root"]]


def test_a_graph_whose_tool_failed_once():
    """With real runs: the attempt that failed keeps the whole trace, and each call is counted once below it."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(OneCallSpanProcessor(KeepingSpanProcessor(SimpleSpanProcessor(exporter))))
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider)
    attempts = []

    def flaky(state):
        attempts.append(state)
        if len(attempts) == 1:
            raise TimeoutError
        return state

    graph = StateGraph(MessagesState)
    graph.add_node("ask", lambda state: {"messages": [Model().invoke(state["messages"])]})
    graph.add_node("flaky", RunnableLambda(flaky).with_retry(stop_after_attempt=2, wait_exponential_jitter=False))
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "flaky")
    graph.add_edge("flaky", END)
    compiled = graph.compile()
    for _ in range(2):  # the second goes well at once
        compiled.invoke({"messages": ["hello"]}, {"callbacks": [handler]})
    text = RecordedTrace(exporter.get_finished_spans()).tree()
    assert text.count("invoke_workflow") == 1
    assert text.count("chat") == 1
    assert text.count("[error]") + text.count(" error") >= 1


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"share": 1.1}, ValueError, "share is 1.1; it must be from 0 to 1."),
        ({"share": "half"}, TypeError, "share is 'half'; it must be a number."),
        ({"slower_than": -1}, ValueError, "slower_than is -1; it must be 0 or more."),
        ({"slower_than": float("nan")}, ValueError, "slower_than is nan; it must be 0 or more."),
        ({"max_bytes": 0}, ValueError, "max_bytes is 0; it must be 1 or more."),
    ],
)
def test_mistakes_are_errors_of_one_line(arguments, kind, message):
    """An argument that can't be used is an error that names it, its value and what to give."""
    with pytest.raises(kind) as error:
        KeepingSpanProcessor(Processor(), **arguments)
    assert (type(error.value), str(error.value)) == (kind, message)
