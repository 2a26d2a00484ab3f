import gc
import logging
import threading
import time

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from runspan.export.processor import DeliveringSpanProcessor
from tests.export.memory import Memory, end_spans

MARGIN_SECONDS = 1.5


def test_flush_delivers_all_that_ended_before_in_batches(delivery):
    """A flush exports every ended span in order, in batches of at most the given size, and says True."""
    exporter = Memory()
    processor, tracer = delivery(exporter, max_batch_size=2)
    exporter.gate.clear()
    end_spans(tracer, "a", "b", "c", "d", "e")
    exporter.gate.set()
    assert processor.force_flush(5_000) is True
    assert exporter.batches == [["a", "b"], ["c", "d"], ["e"]]


def test_nothing_to_deliver_is_delivered(delivery):
    """A flush before the first span is True at once and starts no thread."""
    before = threading.enumerate()
    processor, _ = delivery(Memory())
    assert processor.force_flush(0) is True
    assert set(threading.enumerate()) <= set(before)


def test_a_full_batch_goes_at_once(delivery):
    """A batch that is full is exported without waiting for the schedule."""
    exporter = Memory()
    _, tracer = delivery(exporter, max_batch_size=3)
    end_spans(tracer, "a", "b", "c")
    assert exporter.called.wait(5)


def test_a_lone_span_waits_for_the_schedule_only(delivery):
    """A span that fills no batch is exported when the schedule is due."""
    exporter = Memory()
    _, tracer = delivery(exporter, schedule_delay_seconds=0.05)
    end_spans(tracer, "a")
    assert exporter.called.wait(5)


def test_spans_that_are_not_sampled_stay_here():
    """A span that the sampler did not choose is not exported."""
    exporter = Memory()
    processor = DeliveringSpanProcessor(exporter, destination="memory")
    processor.on_end(ReadableSpan("no context"))
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider.get_tracer("test"), "unsampled")
    processor.shutdown()
    assert exporter.batches == []


def test_many_threads_end_spans_at_once(delivery):
    """Each span of many threads is exported exactly once."""
    exporter = Memory()
    processor, tracer = delivery(exporter, max_batch_size=50, max_queue_size=10_000)
    expected = [f"{thread}.{number}" for thread in range(8) for number in range(200)]
    threads = [
        threading.Thread(target=end_spans, args=(tracer, *expected[start : start + 200]))
        for start in range(0, len(expected), 200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert processor.force_flush(10_000) is True
    assert sorted(exporter.names) == sorted(expected)


def test_a_full_queue_drops_new_spans_and_says_so_once(delivery, caplog):
    """With the queue full new spans are dropped, one line says so, and the flush is False."""
    exporter = Memory()
    processor, tracer = delivery(exporter, max_queue_size=2, max_batch_size=1, destination="a slow place")
    exporter.gate.clear()
    end_spans(tracer, "in flight")
    assert exporter.called.wait(5)
    end_spans(tracer, "a", "b", "c", "d")
    exporter.gate.set()
    assert processor.force_flush(5_000) is False
    assert exporter.names == ["in flight", "a", "b"]
    assert [record.getMessage() for record in caplog.records] == [
        (
            "2 spans were dropped, and further ones are only counted: the queue of 2 spans to a slow place is full."
            " Raise OTEL_BSP_MAX_QUEUE_SIZE, or sample (OTEL_TRACES_SAMPLER)."
        )
    ]
    assert processor.force_flush(5_000) is True, "the loss was told, nothing else was lost"


def test_the_application_never_waits_for_the_exporter(delivery):
    """Ending spans returns at once while the exporter hangs, and a flush gives up in time."""
    exporter = Memory()
    processor, tracer = delivery(exporter, max_batch_size=1, max_queue_size=10)
    exporter.gate.clear()
    began = time.monotonic()
    end_spans(tracer, *map(str, range(100)))
    assert processor.force_flush(200) is False
    assert 0.2 <= time.monotonic() - began < 0.2 + MARGIN_SECONDS
    exporter.gate.set()


def test_shutdown_of_a_hanging_exporter_is_bounded(delivery, caplog):
    """Shutdown returns in its time, tells the exporter, logs one line; a second call does nothing."""
    exporter = Memory()
    processor, tracer = delivery(exporter, max_batch_size=2)
    exporter.gate.clear()
    end_spans(tracer, "a", "b", "c")
    assert exporter.called.wait(5)
    began = time.monotonic()
    processor.shutdown(0.3)
    processor.shutdown(30)
    assert time.monotonic() - began < 0.3 + MARGIN_SECONDS
    assert exporter.shutdowns == 1
    exporter.gate.set()
    assert [record.getMessage() for record in caplog.records] == [
        (
            "could not deliver 3 spans to the exporter of the test: no answer within 0.3 s."
            " Is a collector listening there? Spans are dropped until it answers."
        )
    ]


def test_shutdown_delivers_what_is_queued(delivery, quiet):
    """Shutdown exports the queue first; spans that end later are dropped and a flush says False."""
    exporter = Memory()
    processor, tracer = delivery(exporter)
    end_spans(tracer, "a", "b")
    processor.shutdown()
    end_spans(tracer, "late")
    assert (exporter.batches, exporter.shutdowns) == ([["a", "b"]], 1)
    assert processor.force_flush(100) is False


def test_a_streak_of_failures_is_one_line_and_its_end_another(delivery, caplog):
    """However many batches fail, one WARNING tells; one INFO tells when delivery works again."""
    caplog.set_level(logging.INFO)
    exporter = Memory()
    exporter.result = SpanExportResult.FAILURE
    processor, tracer = delivery(exporter, max_batch_size=2)
    end_spans(tracer, "a", "b", "c", "d", "e")
    assert processor.force_flush(5_000) is False
    assert processor.force_flush(5_000) is False, "it still fails, as far as one knows"
    exporter.result = SpanExportResult.SUCCESS
    end_spans(tracer, "f")
    assert processor.force_flush(5_000) is True
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            (
                "could not deliver 2 spans to the exporter of the test: the exporter gave no reason."
                " Is a collector listening there? Spans are dropped until it answers."
            ),
        ),
        ("INFO", "delivery to the exporter of the test works again; 5 spans were lost before."),
    ]


@pytest.mark.parametrize("error", [ValueError("broken"), KeyError("broken")])
def test_an_exporter_that_raises_is_a_failure_only(delivery, caplog, error):
    """An exception of the exporter neither ends the worker nor reaches the application."""
    exporter = Memory()
    processor, tracer = delivery(exporter)
    exporter.gate.wait = lambda _: (_ for _ in ()).throw(error)
    end_spans(tracer, "a")
    assert processor.force_flush(5_000) is False
    del exporter.gate.wait
    end_spans(tracer, "b")
    assert processor.force_flush(5_000) is True
    assert exporter.names == ["b"]
    assert caplog.records


def test_exports_are_not_instrumented(delivery):
    """Instrumented HTTP clients stand aside inside an export, and only there."""
    seen = []
    exporter = Memory()
    exporter.shutdown = lambda: None
    exporter.export = lambda _: seen.append(is_instrumentation_enabled()) or SpanExportResult.SUCCESS
    processor, tracer = delivery(exporter)
    end_spans(tracer, "a")
    assert processor.force_flush(5_000) is True
    assert (seen, is_instrumentation_enabled()) == ([False], True)


def test_the_garbage_collector_may_end_spans_at_any_moment(delivery):
    """Spans that finalizers end in the middle of ending another one are delivered, nothing hangs."""
    exporter = Memory()
    processor, tracer = delivery(exporter, max_batch_size=5, max_queue_size=100_000)

    class Garbage:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            end_spans(tracer, "garbage")

    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            Garbage()
            end_spans(tracer, "span")
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert processor.force_flush(10_000) is True
    assert (exporter.names.count("span"), exporter.names.count("garbage")) == (200, 200)
