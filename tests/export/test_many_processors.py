"""Many processors at once: what they share, and that one does not suffer from another."""

import os
import sys
import threading
import time
import weakref
from collections import Counter
from traceback import walk_stack

import pytest
from opentelemetry.sdk.trace import TracerProvider

from runspan import _worker as worker
from runspan.export.delivery import Delivery
from runspan.export.otlp.result import Success
from runspan.export.processor import DeliveringSpanProcessor
from runspan.export.spool import Spool
from runspan.export.stats import by_destination
from tests.export.memory import FAILS, Memory, end_spans, given
from tests.otlp_receivers import HttpReceiver
from tests.programs import run_python
from tests.waiting import collect_until, wait_until

MARGIN_SECONDS = 5


def test_a_thousand_tenants():
    """Each of 1,000 tenants has its own endpoint and key and gets its own spans; when all are delivered no thread
    is left, and when all processors are dropped their connections are closed and their memory is free again."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            import gc, os, sys, threading
            from opentelemetry.sdk.trace import TracerProvider
            from runspan.export.processor import OtlpSpanProcessor

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
                return [len(sys._current_frames()) - 1, len(os.listdir("/proc/self/fd")), sys.getallocatedblocks()]

            deliver(["warm"])
            emit(measured())
            emit(deliver(range(1000)))
            deadline = time.monotonic() + 10
            while measured()[1] > 10 and time.monotonic() < deadline:
                time.sleep(0.05)
            emit(measured())
            """
        )
        (_, files, blocks), (delivered, (threads, _, blocks_during)), (threads_after, files_after, blocks_after) = (
            ended.emitted
        )
        assert (delivered, ended.stderr) == (True, [])
        assert (threads, threads_after) == (0, 0)
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


def refuse(*_):
    raise RuntimeError("can't start new thread")


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


def test_however_many_hang_the_others_deliver(several):
    """Twenty receivers in the middle of a request that hangs delay none of another's; they go on when they answer."""
    hung = list(several(20, "hung", max_batch_size=1))
    hang(hung)
    ((_, well, tracer),) = several(1)
    end_spans(tracer, "goes on")
    assert well.force_flush(5_000) is True
    for client, _, _ in hung:
        client.gate.set()
    assert [processor.force_flush(5_000) for _, processor, _ in hung] == [True] * 20


def delivering_threads():
    """Count the threads that deliver: Python does not list them, and others may end meanwhile."""
    stacks = (walk_stack(frame) for frame in sys._current_frames().values())
    return sum(any(frame.f_code is worker.Worker._run.__code__ for frame, _ in stack) for stack in stacks)


def test_a_thread_is_there_while_there_is_work(several):
    """Each receiver has one thread while its spans wait, and none when they are delivered."""
    wait_until(lambda: not delivering_threads())
    listed = threading.active_count()
    hung = list(several(5, "hung", max_batch_size=1))
    hang(hung)
    assert delivering_threads() == 5
    for client, processor, _ in hung:
        client.gate.set()
        assert processor.force_flush(5_000) is True
    wait_until(lambda: not delivering_threads())
    wait_until(lambda: threading.active_count() <= listed)


def test_where_no_thread_starts_spans_wait_and_the_end_delivers_them(several, monkeypatch):
    """As when Python exits: what ends then waits, is counted, and is delivered by who flushes or shuts down."""
    first, second = several(2)
    monkeypatch.setattr(worker, "start_thread", refuse)
    for client, processor, tracer in (first, second):
        end_spans(tracer, "late", "later")
        assert (processor.stats().waiting, client.names) == (2, [])
    assert first[1].force_flush(5_000) is True
    second[1].shutdown(5)
    assert (first[0].names, second[0].names) == (["late", "later"], ["late", "later"])


def test_where_a_thread_writes_and_none_starts_to_send_it_sends(delivery, tmp_path, monkeypatch):
    """Python begins to exit while a thread puts spans on disk: that thread sends them, if nobody else does."""
    start = worker.start_thread

    def start_one(*args):
        monkeypatch.setattr(worker, "start_thread", refuse)
        start(*args)

    client = Memory()
    processor, tracer = delivery(client, spool=Spool(tmp_path / "spool", durability="write-ahead"))
    assert processor.force_flush(30_000) is True
    monkeypatch.setattr(worker, "start_thread", start_one)
    end_spans(tracer, "last")
    wait_until(lambda: client.names == ["last"])


@pytest.mark.parametrize("end", ["flush", "shutdown"])
def test_where_a_thread_still_writes_but_none_starts_to_send_the_end_sends(delivery, tmp_path, monkeypatch, end):
    """Python begins to exit while a thread puts spans on disk: they are sent by the thread that flushes or ends."""
    start, fsync = worker.start_thread, os.fsync

    def start_one(*args):
        monkeypatch.setattr(worker, "start_thread", refuse)
        start(*args)

    client = Memory()
    processor, tracer = delivery(client, spool=Spool(tmp_path / "spool", durability="write-ahead"))
    assert processor.force_flush(30_000) is True
    wait_until(lambda: not delivering_threads())
    monkeypatch.setattr(worker, "start_thread", start_one)
    monkeypatch.setattr(os, "fsync", lambda descriptor: time.sleep(0.3) or fsync(descriptor))
    end_spans(tracer, "last")
    if end == "flush":
        assert processor.force_flush(30_000) is True
    processor.shutdown(30)
    assert client.names == ["last"]


def test_a_client_that_raises_system_exit_ends_nothing_for_good(several, caplog):
    """What exits in foreign code loses its own request, which is counted, and those after it are sent."""
    ((client, processor, tracer),) = several(1)
    send, exits = client.send, [SystemExit, SystemExit]

    def exit_twice(request):
        if exits:
            raise exits.pop()
        return send(request)

    client.send = exit_twice
    for name, delivered in (("a", False), ("b", False), ("c", True)):
        end_spans(tracer, name)
        assert processor.force_flush(5_000) is delivered
    assert (client.names, processor.stats().dropped) == (["c"], {"refused": 2})
    assert "failed with SystemExit" in caplog.text


def test_a_client_that_exits_where_no_thread_starts(delivery, monkeypatch, caplog):
    """In the thread that flushes what exits in foreign code loses its own request, too, and the caller goes on."""
    client = Memory()
    processor, tracer = delivery(client)
    send, exits = client.send, [SystemExit(1)]

    def exit_once(request):
        if exits:
            raise exits.pop()
        return send(request)

    client.send = exit_once
    monkeypatch.setattr(worker, "start_thread", refuse)
    for name, delivered in (("a", False), ("b", True)):
        end_spans(tracer, name)
        assert processor.force_flush(5_000) is delivered
    assert (client.names, processor.stats().dropped) == (["b"], {"refused": 1})
    assert "the client raised SystemExit" in caplog.text


def test_large_spans_that_wait_are_bounded_in_memory(delivery, monkeypatch):
    """Where nobody takes them only so many megabytes of spans wait, and each that finds no room is counted."""
    monkeypatch.setattr("runspan.export.delivery.MAX_QUEUE_BYTES", 1_000_000)
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client)
    for _ in range(30):
        tracer.start_span("large", attributes={"text": "x" * 100_000, "list": ["y" * 1_000] * 10}).end()
    assert processor.force_flush(50) is False
    stats = processor.stats()
    assert (stats.waiting, stats.dropped) == (8, {"queue_full": 22})
    client.answer = Success()
    assert processor.force_flush(5_000) is False
    end_spans(tracer, "small")
    assert processor.force_flush(5_000) is True
    assert processor.stats().sent == 9


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
    processor = DeliveringSpanProcessor(Delivery(given(client), "memory"))
    del processor, client
    collect_until(lambda: kept() is None)


def test_a_processor_that_was_thrown_away_delivers_and_is_garbage():
    """A processor that nobody refers to any more delivers when the schedule is due, and nothing is left of it."""
    client = Memory()
    kept, batches = weakref.ref(client), client.batches
    processor = DeliveringSpanProcessor(Delivery(given(client), "memory", schedule_delay_seconds=0.1))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider.get_tracer("test"), "a", "b")
    del processor, provider, client
    collect_until(lambda: kept() is None)
    assert batches == [["a", "b"]]


def test_a_processor_that_was_thrown_away_is_given_up_where_delivery_fails(monkeypatch, caplog):
    """It is tried for some time; then its spans are lost and counted, and nothing is left of it."""
    monkeypatch.setattr("runspan.export.delivery._ATTEMPTS_AFTER_ABANDONED_SECONDS", 0.1)
    client = Memory()
    client.answer = FAILS
    kept, batches = weakref.ref(client), client.batches
    processor = DeliveringSpanProcessor(Delivery(given(client), "given up", schedule_delay_seconds=0.05))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider.get_tracer("test"), "a")
    del processor, provider, client
    collect_until(lambda: kept() is None)
    assert batches[0] == ["a"]
    waits, lost = (record.getMessage() for record in caplog.records)
    assert "it fails. Is a collector listening there? Until it answers" in waits
    assert lost.endswith("it fails. Is a collector listening there? They are lost.")
    assert by_destination["given up"].stats().dropped == {"given_up": 1}


def test_a_processor_that_was_flushed_is_garbage_before_its_schedule():
    """Nothing waits for the schedule of a processor whose queue is empty."""
    client = Memory()
    kept, batches = weakref.ref(client), client.batches
    processor = DeliveringSpanProcessor(Delivery(given(client), "memory", schedule_delay_seconds=60))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider.get_tracer("test"), "a")
    assert processor.force_flush(5_000) is True
    end_spans(provider.get_tracer("test"), "b")
    assert processor.force_flush(5_000) is True
    del processor, provider, client
    collect_until(lambda: kept() is None)
    assert batches == [["a"], ["b"]]
