"""Markers of what has begun, seen by the receiver before the run ends."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from runspan.export.delivery import Delivery
from runspan.export.processor import DeliveringSpanProcessor
from runspan.export.stats import Stats
from tests.export.memory import Memory, given
from tests.otlp_receivers import HttpReceiver

CHAT = {"gen_ai.operation.name": "chat"}


@pytest.fixture
def marking(delivery):
    client = Memory()
    return client, *delivery(client, started_markers=True)


def test_a_run_that_hangs_is_seen(marking):
    """Roots and calls of models are marked as soon as they begin; steps between them, and an SDK's own span of the
    same call, are not."""
    client, processor, tracer = marking
    with (
        tracer.start_as_current_span("root"),
        tracer.start_as_current_span("step"),
        tracer.start_as_current_span("chat model", attributes=CHAT),
        tracer.start_as_current_span("chat of the SDK", attributes=CHAT),
    ):
        assert processor.force_flush(5_000) is True
        assert client.batches == [["root started", "chat model started"]]


def test_a_call_in_a_call_is_none_of_its_own_whichever_thread_hears_of_it():
    """Where a provider calls its processors in threads, whose context is another, the same spans are marked."""
    client = Memory()
    processor = DeliveringSpanProcessor(Delivery(given(client), "memory"), started_markers=True)
    provider = TracerProvider(active_span_processor=ConcurrentMultiSpanProcessor(), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    with (
        tracer.start_as_current_span("root"),
        tracer.start_as_current_span("chat model", attributes=CHAT),
        tracer.start_as_current_span("chat of the SDK", attributes=CHAT),
    ):
        assert processor.force_flush(5_000) is True
        assert client.batches == [["root started", "chat model started"]]
    provider.shutdown()


def test_a_call_in_a_call_that_began_before_the_processor_came_is_none_of_its_own():
    """Of a parent that the processor did not hear of the context knows."""
    client = Memory()
    processor = DeliveringSpanProcessor(Delivery(given(client), "memory"), started_markers=True)
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("chat model", attributes=CHAT):
        provider.add_span_processor(processor)
        with tracer.start_as_current_span("chat of the SDK", attributes=CHAT):
            assert processor.force_flush(5_000) is True
            assert client.batches == []
    processor.shutdown()


def test_what_ends_first_needs_no_marker(marking):
    """A marker that was not sent when its run ends is dropped, and counted as such; nothing is lost by that."""
    client, processor, tracer = marking
    with tracer.start_as_current_span("root"):
        pass
    assert processor.force_flush(5_000) is True
    assert client.batches == [["root"]]
    assert processor.stats() == Stats(taken=2, sent=1, dropped={"run_ended": 1})


def test_a_marker_hangs_below_its_span(delivery):
    """A marker has the trace, the time and the resource of its span, which is its parent, and no length."""
    with HttpReceiver() as receiver:
        processor, tracer = delivery(endpoint=receiver.endpoint, started_markers=True)
        span = tracer.start_span("root", attributes={"private": "prompt"})
        assert processor.force_flush(5_000) is True
        (marker,) = receiver.received()
    assert marker["parent_span_id"] == f"{span.get_span_context().span_id:016x}"
    assert marker["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert marker["span_id"] != marker["parent_span_id"]
    assert marker["attributes"] == {"runspan.started": True}
    assert (marker["name"], marker["start"], marker["end"]) == ("root started", span.start_time, span.start_time)
    span.end()


def test_what_another_process_began_is_a_root_here(marking):
    """The first span of this process is marked, though its parent is elsewhere."""
    client, processor, tracer = marking
    caller = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(caller))
    span = tracer.start_span("served", context=context)
    assert processor.force_flush(5_000) is True
    assert client.batches == [["served started"]]
    span.end()


def test_what_is_not_sampled_has_no_marker():
    """A span that the sampler did not choose leaves no trace of its start either."""
    client = Memory()
    processor = DeliveringSpanProcessor(Delivery(given(client), "memory"), started_markers=True)
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("unsampled").end()
    assert processor.force_flush(5_000) is True
    assert client.batches == []
    processor.shutdown()


def test_without_the_setting_there_are_none(delivery):
    """Markers are there for those who ask."""
    client = Memory()
    processor, tracer = delivery(client)
    tracer.start_span("root")
    assert processor.force_flush(5_000) is True
    assert client.batches == []
