import gc
import logging
import threading
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.prompts import ChatPromptTemplate
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from runspan._guard import faults
from runspan.processors.ai_only import AiOnlySpanProcessor
from runspan.testing import RecordedTrace
from tests.fakes import Model

AI = {"gen_ai.operation.name": "chat"}


class Kept:
    """A provider of which an exporter in memory gets the spans of AI work."""

    def __init__(self, provider=None, **options):
        self.exporter = InMemorySpanExporter()
        self.provider = provider or TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(AiOnlySpanProcessor(SimpleSpanProcessor(self.exporter), **options))
        self.tracer = self.provider.get_tracer("test")

    def ai(self, name):
        return self.tracer.start_as_current_span(name, attributes=AI)

    def other(self, name, **options):
        return self.tracer.start_as_current_span(name, **options)

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    @property
    def text(self):
        return RecordedTrace(self.spans).tree()

    def one(self, name):
        (span,) = [span for span in self.spans if span.name == name]
        return span


class Notes(SpanProcessor):
    """Notes what it hears: the current span of each start's context, and the parent of each end."""

    def __init__(self):
        self.heard = []

    def on_start(self, span, parent_context=None):
        current = trace.get_current_span(parent_context).get_span_context()
        self.heard.append(("start", span.name, current))

    def on_end(self, span):
        self.heard.append(("end", span.name, span.parent))

    def force_flush(self, timeout_millis=30_000):
        self.heard.append(("flush", timeout_millis))
        return False

    def shutdown(self):
        self.heard.append(("shutdown",))


@pytest.fixture
def kept():
    return Kept()


def below(span):
    """Return a context in which the span is current."""
    return trace.set_span_in_context(span)


def test_a_whole_tree(kept):
    """Spans of other work are left out wherever they are, and what was below them moves up."""
    with kept.other("GET /ask"), kept.other("middleware"):
        with kept.ai("chain"):
            with kept.ai("chat"), kept.other("POST /v1/messages"):
                kept.other("connect").__enter__().end()
            with kept.other("database"), kept.other("pool"), kept.ai("embed"), kept.other("POST"):
                pass
            with kept.ai("tool"):
                pass
        with kept.other("save"):
            pass
    assert kept.text == "chain\n  chat\n  embed\n  tool"


def test_the_root_that_is_left_keeps_its_trace_id(kept):
    """Below a dropped web server's span a kept span is a root, in the same trace."""
    with kept.other("GET /ask") as server, kept.ai("chain") as chain, kept.ai("chat"):
        pass
    assert kept.one("chain").parent is None
    assert kept.one("chat").parent is chain.get_span_context()
    assert {span.context.trace_id for span in kept.spans} == {server.get_span_context().trace_id}


def test_a_dropped_hop_goes_with_the_caller_it_names(kept):
    """Where a dropped span had a remote parent, what is below becomes a root; a kept span's own stays."""
    caller = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    remote = below(NonRecordingSpan(caller))
    with kept.other("server", context=remote), kept.other("middleware"), kept.ai("below a hop"):
        pass
    kept.tracer.start_span("called", context=remote, attributes=AI).end()
    assert kept.one("below a hop").parent is None
    assert kept.one("called").parent == caller


def test_a_hop_within_the_process_is_bridged(kept):
    """A span whose remote parent is a dropped span of this process moves below that one's nearest kept ancestor."""
    with kept.ai("chain") as chain, kept.other("POST") as client:
        sent = client.get_span_context()
        arrived = SpanContext(sent.trace_id, sent.span_id, is_remote=True, trace_flags=sent.trace_flags)
        with kept.other("server", context=below(NonRecordingSpan(arrived))), kept.ai("inner"):
            pass
    assert kept.one("inner").parent is chain.get_span_context()


def test_an_unknown_local_parent_stays(kept):
    """A parent in this process that the processor never heard of is taken for one that is passed on elsewhere."""
    unknown = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    here = below(NonRecordingSpan(unknown))
    kept.tracer.start_span("child", context=here, attributes=AI).end()
    with kept.other("dropped", context=here), kept.ai("grandchild"):
        pass
    assert [span.parent for span in kept.spans] == [unknown, unknown]


@pytest.mark.newest
def test_what_a_moved_span_keeps():
    """A moved span has another parent, and all else of the original: also how much its limits cost it."""
    limits = SpanLimits(max_span_attributes=3, max_events=1, max_links=1)
    kept = Kept(TracerProvider(span_limits=limits, shutdown_on_exit=False))
    everything = InMemorySpanExporter()
    kept.provider.add_span_processor(SimpleSpanProcessor(everything))
    with kept.ai("chain") as chain, kept.other("dropped") as dropped:
        links = [Link(chain.get_span_context(), {"n": 1}), Link(dropped.get_span_context(), {"n": 2})]
        attributes = {"a": 1, "b": (1, 2), "c": {"d": b"e"}, **AI}
        chat = kept.tracer.start_span("chat", kind=SpanKind.CLIENT, attributes=attributes, links=links, start_time=5)
        chat.add_event("first", {"n": 1}, timestamp=6)
        chat.add_event("second", {"n": 2}, timestamp=7)
        chat.set_status(StatusCode.ERROR, "refused")
        chat.end(8)
    moved = kept.one("chat")
    original = next(span for span in everything.get_finished_spans() if span.name == "chat")
    assert (original.parent, moved.parent) == (dropped.get_span_context(), chain.get_span_context())
    assert facts(moved) == facts(original)
    assert facts(moved)["dropped"] == (1, 1, 1)
    assert dict(moved.attributes) == {"b": (1, 2), "c": {"d": b"e"}, **AI}
    assert moved.links == (links[1],)


def facts(span):
    return {
        "name": span.name,
        "context": span.context,
        "attributes": dict(span.attributes),
        "events": [(event.name, event.timestamp, dict(event.attributes)) for event in span.events],
        "links": span.links,
        "kind": span.kind,
        "status": (span.status.status_code, span.status.description),
        "times": (span.start_time, span.end_time),
        "resource": span.resource,
        "scope": span.instrumentation_scope,
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
    }


def test_what_stays_in_place_is_not_copied():
    """A span whose parent is kept, or that has none, is passed on as the very object that the SDK gives."""
    everything = InMemorySpanExporter()
    kept = Kept()
    kept.provider.add_span_processor(SimpleSpanProcessor(everything))
    with kept.ai("chain"), kept.ai("chat"):
        pass
    assert [a is b for a, b in zip(kept.spans, everything.get_finished_spans(), strict=True)] == [True, True]


def test_what_the_inner_processor_hears():
    """It hears starts and ends of kept spans only, with the nearest kept ancestor as the current span."""
    notes = Notes()
    provider = TracerProvider(shutdown_on_exit=False)
    processor = AiOnlySpanProcessor(notes)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    with (
        tracer.start_as_current_span("server"),
        tracer.start_as_current_span("chain", attributes=AI) as chain,
        tracer.start_as_current_span("chat", attributes=AI) as chat,
        tracer.start_as_current_span("http"),
    ):
        tracer.start_span("sdk", attributes=AI).end()
    assert notes.heard == [
        ("start", "chain", trace.INVALID_SPAN.get_span_context()),
        ("start", "chat", chain.get_span_context()),
        ("start", "sdk", chat.get_span_context()),
        ("end", "sdk", chat.get_span_context()),
        ("end", "chat", chain.get_span_context()),
        ("end", "chain", None),
    ]
    notes.heard.clear()
    assert processor.force_flush(1_000) is False
    processor.shutdown()
    assert notes.heard == [("flush", 1_000), ("shutdown",)]


def test_the_context_of_a_start_keeps_its_other_values():
    """Baggage and the like reach the inner processor of a moved span, whether its context was given or is current."""
    values = []

    class Values(SpanProcessor):
        def on_start(self, span, parent_context=None):
            values.append(parent_context["tenant"])

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(AiOnlySpanProcessor(Values()))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("server") as server:
        context = trace.context_api.set_value("tenant", "one", below(server))
        tracer.start_span("given", context=context, attributes=AI)
        token = trace.context_api.attach(context)
        tracer.start_span("current", attributes=AI)
        trace.context_api.detach(token)
    assert values == ["one", "one"]


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        ("runspan", {}),
        ("com.anthropic.sdk.python", {}),
        ("com.anthropic.sdk.python.beta", {}),
        ("openinference.instrumentation.langchain", {}),
        ("mine", {"gen_ai.operation.name": "chat"}),
        ("mine", {"langchain.run.type": "chain"}),
        ("mine", {"openinference.span.kind": "LLM"}),
        ("mine", {"traceloop.span.kind": "workflow"}),
        ("mine", {"http.method": "GET", "llm.request.type": "chat"}),
    ],
)
def test_ai_work(kept, scope, attributes):
    """AI work is known by the scope or by an attribute at the start."""
    kept.provider.get_tracer(scope).start_span("kept", attributes=attributes).end()
    assert kept.text == "kept"


@pytest.mark.parametrize("scope", ["", "mine", "runspan_demo", "openinference", "opentelemetry.instrumentation.httpx"])
def test_other_work(kept, scope):
    """Other scopes, and attributes that only look alike or come after the start, are not AI work."""
    span = kept.provider.get_tracer(scope).start_span("dropped", attributes={"gen_ai": "x", "my.gen_ai.x": 1, "llm": 2})
    span.set_attributes(AI)
    span.end()
    assert kept.spans == ()


def test_ones_own_rule():
    """``is_ai_work`` replaces the rule; it is asked once a span, when that starts."""
    asked = []

    def is_mine(span):
        asked.append(span.name)
        return span.name.startswith("mine")

    kept = Kept(is_ai_work=is_mine)
    with kept.other("mine 1"), kept.ai("chat"), kept.other("mine 2"):
        pass
    assert kept.text == "mine 1\n  mine 2"
    assert asked == ["mine 1", "chat", "mine 2"]


def test_a_rule_that_fails(caplog):
    """A span about which the rule raises is kept; the fault is counted, and logged once."""

    def fails_here(span):
        return 1 / len(span.attributes)

    before = faults()
    kept = Kept(is_ai_work=fails_here)
    with caplog.at_level(logging.WARNING, "runspan"), kept.other("a"), kept.other("b"):
        pass
    assert kept.text == "a\n  b"
    assert faults() == before + 2
    (record,) = caplog.records
    assert "fails_here failed with ZeroDivisionError" in record.getMessage()


@pytest.mark.parametrize("processor", [None, "otlp", SimpleSpanProcessor])
def test_what_is_no_processor(processor):
    """Anything but a span processor is a TypeError that names it."""
    with pytest.raises(TypeError) as caught:
        AiOnlySpanProcessor(processor)
    assert str(caught.value) == f"processor is {processor!r}; it must be an instance of OpenTelemetry's SpanProcessor."


def test_a_rule_that_is_none():
    """A rule that can't be called is a TypeError that names it."""
    with pytest.raises(TypeError) as caught:
        AiOnlySpanProcessor(Notes(), is_ai_work="gen_ai")
    assert str(caught.value) == "is_ai_work is 'gen_ai'; it must be a function of a span."


def test_work_in_the_background(kept):
    """A child that starts after its dropped parent has ended goes below the same ancestor, that has ended too."""
    with kept.ai("chain") as chain, kept.other("request") as request:
        context = below(request)
    kept.tracer.start_span("late", context=context, attributes=AI).end()
    assert kept.one("late").parent is chain.get_span_context()


def test_work_that_knows_a_bare_id(kept):
    """A dropped span is remembered also when it has ended and nobody holds it, only its ids."""
    with kept.ai("chain") as chain:
        request = kept.tracer.start_span("request")
        request.end()
        ids = request.get_span_context()
        gone = weakref.ref(request)
        del request
        assert gone() is None
    kept.tracer.start_span("late", context=below(NonRecordingSpan(ids)), attributes=AI).end()
    assert kept.one("late").parent is chain.get_span_context()


def test_spans_that_never_end_take_no_memory():
    """Spans that are dropped without an end are forgotten, but for the newest ones."""
    kept = Kept()
    root = kept.tracer.start_span("root")
    context = below(root)
    for _ in range(10_500):
        kept.tracer.start_span("never ended", context=context)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(10_500):
        kept.tracer.start_span("never ended", context=context)
    gc.collect()
    assert len(gc.get_objects()) - before < 1_000


def test_a_span_that_lives_is_never_forgotten():
    """However many spans come and go, a dropped span with an own life is known."""
    kept = Kept()
    with kept.ai("chain") as chain, kept.other("long") as long:
        context = below(long)
    for _ in range(10_500):
        kept.tracer.start_span("other").end()
    kept.tracer.start_span("late", context=context, attributes=AI).end()
    assert kept.one("late").parent is chain.get_span_context()


def test_a_span_that_a_collection_ends(kept):
    """A span that ends while it is garbage, in a generator within a cycle, is passed on below its kept ancestor."""

    def work(context, cycle):
        dropped = kept.tracer.start_span("dropped", context=context)
        span = kept.tracer.start_span("kept", context=below(dropped), attributes=AI)
        try:
            yield
        finally:
            span.end()

    with kept.ai("chain") as chain:
        cycle = []
        cycle.append(work(below(chain), cycle))
        next(cycle[0])
    del cycle
    gc.collect()
    assert kept.text == "chain\n  kept"


def test_a_span_that_started_before(kept):
    """A processor that is added in the middle passes on the AI spans that end from then on."""
    with kept.ai("open"), kept.other("open too"):
        late = Kept(kept.provider)
        with kept.ai("new"):
            pass
    assert {span.name: span.parent for span in late.spans} == {
        "new": late.one("new").parent,
        "open": None,
    }
    assert kept.text == "open\n  new"


def test_one_within_another():
    """Around one another, two of them keep what both keep, in one tree."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    inner = AiOnlySpanProcessor(SimpleSpanProcessor(exporter), is_ai_work=lambda span: span.name != "chat")
    provider.add_span_processor(AiOnlySpanProcessor(inner))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("server"), tracer.start_as_current_span("chain", attributes=AI):
        with tracer.start_as_current_span("chat", attributes=AI), tracer.start_as_current_span("tool", attributes=AI):
            pass
        with tracer.start_as_current_span("http"), tracer.start_as_current_span("embed", attributes=AI):
            pass
    assert RecordedTrace(exporter.get_finished_spans()).tree() == "chain\n  tool\n  embed"


def test_threads(kept):
    """Trees that grow in several threads at once, below one dropped span, come out whole."""
    with kept.ai("chain"), kept.other("pool") as pool:
        context = below(pool)

        def work(number):
            for _ in range(50):
                with (
                    kept.tracer.start_as_current_span("dropped", context=context),
                    kept.ai(f"ai {number}"),
                    kept.other("http"),
                    kept.ai(f"below {number}"),
                ):
                    pass

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = kept.text.splitlines()
    assert lines[0] == "chain"
    assert sorted(lines[1:]) == sorted(
        line for number in range(4) for line in [f"  ai {number}", f"    below {number}"] * 50
    )


async def test_a_real_chain(tracing):
    """Of a request that a web server traces, the backend sees the chain alone, HTTP spans below its model left out."""
    kept = Kept(tracing.provider)
    chain = ChatPromptTemplate.from_template("{question}") | Model(tracing=tracing)
    with tracing.span("GET /ask"):
        chain.invoke({"question": "What is 1 + 2?"}, tracing.config)
        async for chunk in chain.astream({"question": "What is 1 + 2?"}, tracing.config):
            tracing.mark(f"write {chunk.content!r}")
    assert tracing.text() == (
        "GET /ask\n"
        "  RunnableSequence\n"
        "    ChatPromptTemplate\n"
        "    chat\n"
        "      http\n"
        "  RunnableSequence\n"
        "    ChatPromptTemplate\n"
        "    chat\n"
        "      http\n"
        "  write 'th'\n"
        "  write 'r'\n"
        "  write 'ee'\n"
        "  write ''"
    )
    assert kept.text == (
        "RunnableSequence\n  ChatPromptTemplate\n  chat\nRunnableSequence\n  ChatPromptTemplate\n  chat"
    )


@st.composite
def lives(draw):
    """Draw spans, each a parent's number or None and whether it is kept, and an order of their starts and ends."""
    count = draw(st.integers(1, 12))
    spans = [
        (draw(st.none() | st.integers(0, number - 1)) if number else None, draw(st.booleans()))
        for number in range(count)
    ]
    order = [("start", number) for number in range(count)]
    for number in draw(st.permutations(range(count))):
        order.insert(draw(st.integers(order.index(("start", number)) + 1, len(order))), ("end", number))
    return spans, order


@given(lives())
def test_any_tree(case):
    """Whatever is dropped and whenever spans end, each kept span ends below its nearest kept ancestor, at its time."""
    parents, order = case
    kept = Kept()
    spans = {}
    for edge, number in order:
        if edge == "end":
            spans[number].end()
            continue
        parent, is_kept = parents[number]
        context = below(spans[parent]) if parent is not None else trace.context_api.Context()
        spans[number] = kept.tracer.start_span(str(number), context=context, attributes=AI if is_kept else {})

    def nearest(number):
        parent = parents[number][0]
        if parent is None:
            return None
        return spans[parent].get_span_context().span_id if parents[parent][1] else nearest(parent)

    assert [(span.name, span.parent.span_id if span.parent else None) for span in kept.spans] == [
        (str(number), nearest(number)) for edge, number in order if edge == "end" and parents[number][1]
    ]
