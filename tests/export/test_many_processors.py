"""Many processors at once: what they share, and that one does not suffer from another."""

import threading
import time
import weakref
from collections import Counter

import pytest
from opentelemetry.sdk.trace import TracerProvider

from runspan.export import lanes
from runspan.export.processor import DeliveringSpanProcessor
from runspan.export.workers import workers
from tests.export.memory import FAILS, Memory, end_spans, settle
from tests.otlp_receivers import HttpReceiver
from tests.test_configure import run_python
from tests.waiting import collect_until

MARGIN_SECONDS = 1.5


def test_a_thousand_tenants():
    """Each of 1,000 tenants has its own endpoint and key and gets its own spans, by at most eight threads; when all
    processors are dropped their connections are closed and their memory is free again."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            import gc, os, sys, threading
            from opentelemetry.sdk.trace import TracerProvider
            from runspan.export.otlp_processor import OtlpSpanProcessor

            tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")

            def deliver(tenants):
                processors = []
                for tenant in tenants:
                    endpoint = f"{receiver.endpoint}/{{tenant}}"
                    processors.append(OtlpSpanProcessor(endpoint, headers={{"x-tenant": str(tenant)}}))
                    for _ in range(3):
                        span = tracer.start_span(str(tenant))
                        processors[-1].on_start(span)
                        span.end()
                        processors[-1].on_end(span)
                return [all(processor.force_flush(60_000) for processor in processors), measured()]

            def measured():
                gc.collect()
                return [threading.active_count() - 1, len(os.listdir("/proc/self/fd")), sys.getallocatedblocks()]

            deliver(["warm"])
            tell(measured())
            tell(deliver(range(1000)))
            deadline = time.monotonic() + 10
            while measured()[1] > 10 and time.monotonic() < deadline:
                time.sleep(0.05)
            tell(measured())
            """
        )
        (_, files, blocks), (delivered, (threads, _, blocks_during)), (threads_after, files_after, blocks_after) = (
            ended.told
        )
        assert (delivered, ended.stderr) == (True, [])
        assert (threads, threads_after) == (8, 8)
        assert files_after <= files, "connections are closed"
        assert blocks_after - blocks < (blocks_during - blocks) / 5, "memory is free again"
        got = Counter()
        for request, headers in zip(receiver.requests, receiver.headers, strict=True):
            spans = [span.name for of_resource in request.resource_spans for span in of_resource.scope_spans[0].spans]
            assert set(spans) == {headers["x-tenant"]}
            got.update(spans)
        assert got == dict.fromkeys(["warm", *map(str, range(1000))], 3)
        assert set(receiver.paths) == {f"/{name}/v1/traces" for name in got}


@pytest.fixture
def several(delivery):
    """Make processors with an client and a tracer each; give them as triples, and let go of all at the end."""
    clients = []

    def make(count, name="destination", **options):
        for number in range(count):
            clients.append(Memory())
            yield clients[-1], *delivery(clients[-1], destination=f"{name} {number}", **options)

    yield make
    for client in clients:
        client.gate.set()


def hang(triples):
    """Make clients hang in the middle of an export."""
    for client, _, tracer in triples:
        client.gate.clear()
        end_spans(tracer, "hangs")
    for client, _, _ in triples:
        assert client.called.wait(30)


def test_one_endpoint_that_hangs_does_not_hold_up_nine(several, delivery, silent_endpoint):
    """While the requests of one processor hang all the others deliver."""
    _, tracer = delivery(endpoint=silent_endpoint, max_batch_size=1)
    end_spans(tracer, *"abc")
    nine = list(several(9, schedule_delay_seconds=0.05))
    for _, _, tracer in nine:
        end_spans(tracer, "goes on")
    for client, _, _ in nine:
        assert client.called.wait(30)
    assert [processor.force_flush(5_000) for _, processor, _ in nine] == [True] * 9


def test_two_that_hang_cost_only_their_own_deadlines(several, caplog):
    """Flush and shutdown of processors that hang return in their time; others deliver meanwhile."""
    hung = list(several(2, "hung", max_batch_size=1))
    hang(hung)
    ((_, well, tracer),) = several(1)
    began = time.monotonic()
    for _, processor, _ in hung:
        assert processor.force_flush(100) is False
        end_spans(tracer, "goes on")
        assert well.force_flush(5_000) is True
        processor.shutdown(0.2)
    assert time.monotonic() - began < 0.6 + MARGIN_SECONDS
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"could not deliver 1 span to hung {number}: no answer within 0.2 s."
            " Is a collector listening there? They are lost."
        )
        for number in range(2)
    ]


def test_when_all_workers_hang_deadlines_still_hold(several, caplog):
    """With every worker in an client that hangs another processor's flush and shutdown still return in time; when
    the workers are free again it is as if nothing had been."""
    hung = list(several(8, "hung", max_batch_size=1))
    hang(hung)
    first, second = several(2, "waits")
    for _, _, tracer in (first, second):
        end_spans(tracer, "waits")
    began = time.monotonic()
    assert first[1].force_flush(100) is False
    first[1].shutdown(0.2)
    assert time.monotonic() - began < 0.3 + MARGIN_SECONDS
    assert [record.getMessage() for record in caplog.records] == [
        (
            "could not deliver 1 span to waits 0: no worker was free within 0.2 s."
            " Is a collector listening there? They are lost."
        )
    ]
    for client, _, _ in hung:
        client.gate.set()
    assert second[1].force_flush(5_000) is True
    assert (first[0].names, second[0].names) == ([], ["waits"])
    assert [processor.force_flush(5_000) for _, processor, _ in hung] == [True] * 8


def test_endpoints_that_fail_leave_workers_to_the_others(several, caplog):
    """However many endpoints fail and then hang, others still deliver."""
    bad = list(several(12, "bad", max_batch_size=1))
    for client, processor, tracer in bad:
        client.answer = FAILS
        end_spans(tracer, "fails")
        assert processor.force_flush(50) is False
        client.gate.clear()
    for _, processor, _ in bad:
        assert processor.force_flush(0) is False
    ((_, well, tracer),) = several(1)
    end_spans(tracer, "goes on")
    assert well.force_flush(5_000) is True
    assert len(caplog.records) == 12


def test_what_waits_too_long_for_an_endpoint_that_fails_is_dropped(delivery, monkeypatch, caplog):
    """Spans don't pile up while no worker is free to try an endpoint that failed: they are dropped, and told so."""
    tried, waiting = Memory(), Memory()
    tried.answer = FAILS
    processor, tracer = delivery(tried, destination="bad")
    end_spans(tracer, "tried")
    assert processor.force_flush(50) is False
    settle(workers)
    caplog.clear()
    monkeypatch.setattr(lanes, "LONGEST_WAIT_SECONDS", 0.0)
    processor, tracer = delivery(waiting, destination="bad")
    end_spans(tracer, "a", "b")
    assert processor.force_flush(5_000) is False
    assert waiting.batches == []
    assert [record.getMessage() for record in caplog.records] == [
        (
            "could not deliver 2 spans to bad: it failed before, and no worker was free for another try within 30 s."
            " Is a collector listening there? They are lost."
        )
    ]


def test_spans_of_one_processor_stay_in_order_and_in_one_thread_at_a_time(delivery):
    """However often and from wherever workers are asked for, one at a time exports, in the order of the spans."""
    client, busy, at_once = Memory(), threading.Lock(), []
    send = client.send

    def watched(request):
        at_once.append(busy.acquire(blocking=False))
        time.sleep(0)
        busy.release()
        return send(request)

    client.send = watched
    processor, tracer = delivery(client, max_batch_size=1, max_queue_size=10_000, schedule_delay_seconds=0.001)
    flushing = [threading.Thread(target=processor.force_flush, args=(5_000,)) for _ in range(5)]
    for thread in flushing:
        thread.start()
    end_spans(tracer, *map(str, range(500)))
    for thread in flushing:
        thread.join()
    assert processor.force_flush(5_000) is True
    assert client.names == [str(number) for number in range(500)]
    assert set(at_once) == {True}


def test_a_processor_without_spans_is_garbage():
    """Nothing keeps a processor that never had a span."""
    client = Memory()
    kept = weakref.ref(client)
    processor = DeliveringSpanProcessor(client, destination="memory")
    del processor, client
    collect_until(lambda: kept() is None)


def test_a_processor_that_was_thrown_away_delivers_and_is_garbage():
    """A processor that nobody refers to any more delivers when the schedule is due, and nothing is left of it."""
    client = Memory()
    kept, batches = weakref.ref(client), client.batches
    processor = DeliveringSpanProcessor(client, destination="memory", schedule_delay_seconds=0.1)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider.get_tracer("test"), "a", "b")
    del processor, provider, client
    collect_until(lambda: kept() is None)
    assert batches == [["a", "b"]]


def test_a_processor_that_was_flushed_is_garbage_before_its_schedule():
    """Nothing waits for the schedule of a processor whose queue is empty."""
    client = Memory()
    kept, batches = weakref.ref(client), client.batches
    processor = DeliveringSpanProcessor(client, destination="memory", schedule_delay_seconds=60)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider.get_tracer("test"), "a")
    assert processor.force_flush(5_000) is True
    end_spans(provider.get_tracer("test"), "b")
    assert processor.force_flush(5_000) is True
    del processor, provider, client
    collect_until(lambda: kept() is None)
    assert batches == [["a"], ["b"]]
