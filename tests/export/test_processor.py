import gc
import logging
import threading
import time

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from runspan.export.delivery import Delivery
from runspan.export.encoding.requests import encode
from runspan.export.otlp.result import Rejected, Retryable, Success, TooLarge
from runspan.export.processor import DeliveringSpanProcessor
from runspan.export.stats import Stats
from tests.export.memory import FAILS, Memory, end_spans, given
from tests.waiting import collect_until, wait_until

MARGIN_SECONDS = 5


def test_flush_delivers_all_that_ended_before_in_batches(delivery):
    """A flush exports every ended span in order, in batches of at most the given size, and says True."""
    client = Memory()
    processor, tracer = delivery(client, max_batch_size=2)
    client.gate.clear()
    end_spans(tracer, "a", "b", "c", "d", "e")
    client.gate.set()
    assert processor.force_flush(5_000) is True
    assert client.batches == [["a", "b"], ["c", "d"], ["e"]]


def test_nothing_to_deliver_is_delivered(delivery):
    """A flush before the first span is True at once and starts no thread."""
    before = threading.enumerate()
    processor, _ = delivery(Memory())
    assert processor.force_flush(0) is True
    assert set(threading.enumerate()) <= set(before)


def test_a_full_batch_goes_at_once(delivery):
    """A batch that is full is sent without waiting for the schedule."""
    client = Memory()
    _, tracer = delivery(client, max_batch_size=3)
    end_spans(tracer, "a", "b", "c")
    assert client.called.wait(30)


def test_a_lone_span_waits_for_the_schedule_only(delivery):
    """A span that fills no batch is sent when the schedule is due."""
    client = Memory()
    _, tracer = delivery(client, schedule_delay_seconds=0.05)
    end_spans(tracer, "a")
    assert client.called.wait(30)


def test_spans_that_are_not_sampled_stay_here():
    """A span that the sampler did not choose is not exported."""
    client = Memory()
    processor = DeliveringSpanProcessor(Delivery(given(client), "memory"))
    processor.on_end(ReadableSpan("no context"))
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider.get_tracer("test"), "unsampled")
    processor.shutdown()
    assert client.batches == []


def test_many_threads_end_spans_at_once(delivery):
    """Each span of many threads is sent exactly once."""
    client = Memory()
    processor, tracer = delivery(client, max_batch_size=50, max_queue_size=10_000)
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
    assert sorted(client.names) == sorted(expected)


def test_a_full_queue_drops_new_spans_and_says_so_once(delivery, caplog):
    """With the queue full new spans are dropped, one line says so, and the flush is False."""
    client = Memory()
    processor, tracer = delivery(client, max_queue_size=2, max_batch_size=1, destination="a slow place")
    client.gate.clear()
    end_spans(tracer, "in flight")
    assert client.called.wait(30)
    end_spans(tracer, "a", "b", "c", "d")
    client.gate.set()
    assert processor.force_flush(5_000) is False
    assert client.names == ["in flight", "a", "b"]
    assert [record.getMessage() for record in caplog.records] == [
        (
            "2 spans were dropped: the queue to a slow place is full (2 spans, 256 MB at most)."
            " Raise OTEL_BSP_MAX_QUEUE_SIZE if it is their number,"
            " sample (OTEL_TRACES_SAMPLER), or give it a spool. Further ones are only counted."
        )
    ]
    assert processor.force_flush(5_000) is True, "the loss was reported, nothing else was lost"


def test_the_application_never_waits_for_the_client(delivery):
    """Ending spans returns at once while the client hangs, and a flush gives up in time."""
    client = Memory()
    processor, tracer = delivery(client, max_batch_size=1, max_queue_size=10)
    client.gate.clear()
    began = time.monotonic()
    end_spans(tracer, *map(str, range(100)))
    assert processor.force_flush(200) is False
    assert 0.2 <= time.monotonic() - began < 0.2 + MARGIN_SECONDS
    client.gate.set()


def test_shutdown_of_a_hanging_client_is_bounded(delivery, caplog):
    """Shutdown returns in its time, tells the client, logs one line; a second call does nothing."""
    client = Memory()
    processor, tracer = delivery(client, max_batch_size=2)
    client.gate.clear()
    end_spans(tracer, "a", "b", "c")
    assert client.called.wait(30)
    began = time.monotonic()
    processor.shutdown(0.3)
    processor.shutdown(30)
    assert time.monotonic() - began < 0.3 + MARGIN_SECONDS
    assert client.closes == 1
    client.gate.set()
    assert [record.getMessage() for record in caplog.records] == [
        (
            "could not deliver 3 spans to the client of the test: no answer within 0.3 s."
            " Is a collector listening there? They are lost."
        )
    ]


def test_what_has_arrived_is_not_given_up(delivery, quiet):
    """Where the time is over amid the requests of a batch, those that were sent are not counted as lost."""
    client = Memory()
    processor, tracer = delivery(client, max_request_bytes=20_000)
    send, hangs = client.send, threading.Event()

    def hang_after_the_first(request):
        if client.batches:
            client.gate.clear()
            hangs.set()
        return send(request)

    client.send = hang_after_the_first
    for number in range(4):
        tracer.start_span(str(number), attributes={"text": "x" * 15_000}).end()
    assert processor.force_flush(0) is False
    assert hangs.wait(30)
    processor.shutdown(0.3)
    assert processor.stats() == Stats(taken=4, sent=1, dropped={"given_up": 3})
    client.gate.set()


def test_shutdown_delivers_what_is_queued(delivery, quiet):
    """Shutdown exports the queue first; spans that end later are dropped and a flush says False."""
    client = Memory()
    processor, tracer = delivery(client)
    end_spans(tracer, "a", "b")
    processor.shutdown()
    end_spans(tracer, "late")
    assert (client.batches, client.closes) == ([["a", "b"]], 1)
    assert processor.force_flush(100) is False


def test_what_fails_for_now_is_sent_again_when_somebody_waits(delivery, caplog):
    """Spans that could not be sent wait in order, with those that end meanwhile; one line tells, and one of the end."""
    caplog.set_level(logging.INFO)
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, max_batch_size=2, max_queue_size=10)
    end_spans(tracer, "a", "b", "c")
    assert processor.force_flush(100) is False
    assert client.batches == [["a", "b"]]
    assert processor.stats() == Stats(taken=3, retried=2, waiting=3)
    client.answer = Success()
    end_spans(tracer, "d")
    assert processor.force_flush(5_000) is True
    assert client.batches[1:] == [["a", "b"], ["c"], ["d"]]
    assert processor.stats() == Stats(taken=4, sent=4, retried=2)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            (
                "could not deliver 2 spans to the client of the test: it fails."
                " Is a collector listening there? Until it answers up to 10 spans wait, further ones are dropped."
            ),
        ),
        ("INFO", "delivery to the client of the test works again; nothing was lost."),
    ]


def test_what_fails_for_now_is_sent_again_by_itself(delivery, quiet):
    """Nobody has to ask: after a second or so the next try is made."""
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, max_batch_size=1)
    end_spans(tracer, "a")
    assert client.called.wait(30)
    client.called.clear()
    client.answer = Success()
    assert client.called.wait(30)
    assert processor.force_flush(5_000) is True
    assert client.batches == [["a"], ["a"]]


def test_a_receiver_that_asks_for_patience_gets_it(delivery, quiet):
    """Before the time that the receiver has named nothing is sent, whoever waits; at the end what waits is lost."""
    client = Memory()
    client.answer = Retryable("throttled", after=60)
    processor, tracer = delivery(client)
    end_spans(tracer, "a")
    assert processor.force_flush(100) is False
    assert processor.force_flush(100) is False
    assert client.batches == [["a"]]


def test_a_full_queue_counts_what_waits_for_another_try(delivery):
    """While the receiver fails no more spans wait than the queue holds; the others are counted as dropped."""
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, max_batch_size=5, max_queue_size=10)
    end_spans(tracer, *map(str, range(5)))
    assert processor.force_flush(100) is False
    end_spans(tracer, *map(str, range(5, 100)))
    client.answer = Success()
    assert processor.force_flush(5_000) is False
    assert client.names == [*map(str, range(5)), *map(str, range(10))]
    assert processor.stats() == Stats(taken=100, sent=10, retried=5, dropped={"queue_full": 90})


def test_what_the_receiver_refuses_is_lost(delivery, caplog):
    """However many batches are refused, one WARNING tells; one INFO tells when delivery works again."""
    caplog.set_level(logging.INFO)
    client = Memory()
    client.answer = Rejected("no")
    processor, tracer = delivery(client, max_batch_size=2)
    end_spans(tracer, "a", "b", "c", "d", "e")
    assert processor.force_flush(5_000) is False
    assert processor.force_flush(5_000) is False, "it still fails, as far as one knows"
    client.answer = Success()
    end_spans(tracer, "f")
    assert processor.force_flush(5_000) is True
    assert processor.stats() == Stats(taken=6, sent=1, dropped={"refused": 5})
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            (
                "could not deliver 2 spans to the client of the test: no. They are lost, since it would refuse them"
                " again. Check endpoint and headers."
            ),
        ),
        ("INFO", "delivery to the client of the test works again; 5 spans were lost before."),
    ]


def test_a_partial_success_is_told(delivery, caplog):
    """Spans that the receiver rejects out of a request are lost, counted, and logged once with its reason."""
    client = Memory()
    client.answer = Success(rejected=1, reason="too old")
    processor, tracer = delivery(client, max_batch_size=2)
    end_spans(tracer, "a", "b", "c", "d")
    assert processor.force_flush(5_000) is False
    assert processor.stats() == Stats(taken=4, sent=2, dropped={"rejected": 2})
    assert [record.getMessage() for record in caplog.records] == [
        "the client of the test rejected 1 span: too old. Further ones are only counted."
    ]


def test_a_request_that_is_too_large_is_split(delivery, quiet):
    """What the receiver finds too large goes in pieces, and later requests are as small from the start."""
    client = Memory()
    most, large = 40_000, "x" * 15_000
    send = client.send
    client.send = lambda request: TooLarge("too large", limit=most) if len(request.body) > most else send(request)
    processor, tracer = delivery(client)
    for number in range(8):
        tracer.start_span(str(number), attributes={"text": large}).end()
    assert processor.force_flush(5_000) is True
    assert client.batches == [["0", "1"], ["2", "3"], ["4", "5"], ["6", "7"]]
    assert processor.stats() == Stats(taken=8, sent=8)


def test_without_a_limit_told_requests_are_halved_until_they_fit(delivery, quiet):
    """A receiver that says only that a request is too large gets smaller ones, its spans shortened if they must be."""
    client = Memory()
    send = client.send
    client.send = lambda request: TooLarge("413") if len(request.body) > 50_000 else send(request)
    processor, tracer = delivery(client)
    for number in range(3):
        tracer.start_span(str(number), attributes={"text": "x" * 70_000}).end()
    assert processor.force_flush(5_000) is True
    assert client.names == ["0", "1", "2"]
    assert processor.stats().sent == 3


def test_a_receiver_that_takes_nothing_is_refused_service(delivery, caplog):
    """Halving ends: what takes not even small requests loses them, with its reason."""
    client = Memory()
    client.answer = TooLarge("never enough")
    processor, tracer = delivery(client)
    tracer.start_span("a", attributes={"text": "x" * 70_000}).end()
    assert processor.force_flush(5_000) is False
    assert processor.stats().dropped == {"refused": 1}
    assert "never enough" in caplog.text


def test_what_overflowed_is_told_at_the_end(delivery, caplog):
    """Where the first failure comes at the end the log tells both what was given up and what found no room."""
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, max_queue_size=2, max_batch_size=2)
    client.gate.clear()
    end_spans(tracer, "a", "b")
    assert client.called.wait(30)
    end_spans(tracer, "c", "d", "e")
    client.gate.set()
    processor.shutdown(0.5)
    assert processor.stats().dropped == {"given_up": 4, "queue_full": 1}
    assert "1 span was dropped" in caplog.text
    assert "could not deliver" in caplog.text


def test_what_is_being_encoded_when_the_time_is_over_is_counted(delivery, monkeypatch, quiet):
    """Spans that a thread has taken out of the queue but not yet sent are given up like all others."""
    begun, over = threading.Event(), threading.Event()

    def encode_slowly(*arguments):
        begun.set()
        over.wait(30)
        return encode(*arguments)

    monkeypatch.setattr("runspan.export.sending.encode", encode_slowly)
    client = Memory()
    processor, tracer = delivery(client, max_batch_size=2)
    end_spans(tracer, "a", "b")
    assert begun.wait(30)
    processor.shutdown(0.1)
    over.set()
    wait_until(lambda: processor.stats() == Stats(taken=2, dropped={"given_up": 2}))
    assert client.batches == []


def test_spans_that_end_after_shutdown_are_counted(delivery, quiet):
    """What ends too late is dropped with that reason."""
    processor, tracer = delivery(Memory())
    processor.shutdown()
    end_spans(tracer, "late")
    assert processor.stats() == Stats(taken=1, dropped={"shutdown": 1})


@pytest.mark.parametrize("error", [ValueError("broken"), KeyError("broken")])
def test_an_client_that_raises_is_a_failure_only(delivery, caplog, error):
    """An exception of the client neither ends the worker nor reaches the application."""
    client = Memory()
    processor, tracer = delivery(client)
    client.gate.wait = lambda _: (_ for _ in ()).throw(error)
    end_spans(tracer, "a")
    assert processor.force_flush(5_000) is False
    del client.gate.wait
    end_spans(tracer, "b")
    assert processor.force_flush(5_000) is True
    assert client.names == ["b"]
    assert caplog.records


def test_exports_are_not_instrumented(delivery):
    """Instrumented HTTP clients stand aside inside an export, and only there."""
    seen = []
    client = Memory()
    client.close = lambda: None
    client.send = lambda _: seen.append(is_instrumentation_enabled()) or Success()
    processor, tracer = delivery(client)
    end_spans(tracer, "a")
    assert processor.force_flush(5_000) is True
    assert (seen, is_instrumentation_enabled()) == ([False], True)


def test_the_garbage_collector_may_end_spans_at_any_moment(delivery):
    """Spans that finalizers end in the middle of ending another one are delivered, nothing hangs."""
    client = Memory()
    processor, tracer = delivery(client, max_batch_size=5, max_queue_size=100_000)

    class Garbage:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            nonlocal finalized
            end_spans(tracer, "garbage")
            finalized += 1

    finalized = 0
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            Garbage()
            end_spans(tracer, "span")
    finally:
        gc.set_threshold(*thresholds)
    collect_until(lambda: finalized == 200)
    assert processor.force_flush(10_000) is True
    assert (client.names.count("span"), client.names.count("garbage")) == (200, 200)
