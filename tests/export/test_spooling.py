"""Processors with a spool: what the disk saves, and that a bad disk harms nobody."""

import logging
import os
import threading
import time
from dataclasses import replace

import pytest

from runspan.export.encoding.requests import Request
from runspan.export.otlp.result import Rejected, Success, TooLarge
from runspan.export.spool import Spool, SpoolFolder
from runspan.export.stats import Stats
from tests.export.memory import FAILS, Memory, end_spans, span_names
from tests.waiting import wait_until

MARGIN_SECONDS = 5
DESTINATION = "the client of the test"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spans.spool"


def spooled(path):
    """Return how many spans are on disk."""
    return sum(entry.spans for entry in SpoolFolder(Spool(path), DESTINATION).entries())


def test_what_cannot_be_sent_goes_to_disk_and_is_sent_later(delivery, path, caplog):
    """While the receiver fails spans are on disk; when it answers all are sent, in order, and the disk is empty."""
    caplog.set_level(logging.INFO)
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, max_batch_size=2, spool=Spool(path))
    end_spans(tracer, "a", "b", "c")
    assert processor.force_flush(300) is False
    assert spooled(path) == 3
    assert replace(processor.stats(), retried=0) == Stats(taken=3, spooled=3)
    client.answer = Success()
    end_spans(tracer, "d")
    assert processor.force_flush(5_000) is True
    assert client.names[-4:] == ["a", "b", "c", "d"]
    assert spooled(path) == 0
    assert replace(processor.stats(), retried=0) == Stats(taken=4, sent=4, spooled=3)
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"could not deliver 2 spans to {DESTINATION}: it fails. Is a collector listening there?"
            f" Until it answers they wait in {path}."
        ),
        f"delivery to {DESTINATION} works again; nothing was lost.",
    ]


def test_while_the_receiver_answers_nothing_is_written(delivery, path):
    """Prompts come to the disk only if they must."""
    client = Memory()
    processor, tracer = delivery(client, spool=Spool(path))
    end_spans(tracer, "a")
    assert processor.force_flush(5_000) is True
    assert not path.exists()


def test_a_flood_goes_to_disk(delivery, path):
    """While a request hangs ten times as many spans end as the queue holds: none is lost."""
    client = Memory()
    processor, tracer = delivery(client, max_batch_size=10, max_queue_size=100, spool=Spool(path))
    client.gate.clear()
    end_spans(tracer, *map(str, range(10)))
    assert client.called.wait(30)
    end_spans(tracer, *map(str, range(10, 1010)))
    wait_until(lambda: spooled(path) >= 900)
    client.gate.set()
    assert processor.force_flush(20_000) is True
    assert sorted(map(int, client.names)) == list(range(1010))
    assert processor.stats().dropped == {}


def test_the_next_process_sends_what_is_left(delivery, path):
    """Shutdown leaves what the receiver does not take on disk, at once; the next processor sends it by itself."""
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, spool=Spool(path))
    end_spans(tracer, "a", "b")
    began = time.monotonic()
    processor.shutdown(10)
    assert time.monotonic() - began < MARGIN_SECONDS
    assert replace(processor.stats(), retried=0) == Stats(taken=2, spooled=2)
    client = Memory()
    processor, _ = delivery(client, spool=Spool(path))
    assert client.called.wait(30)
    assert processor.force_flush(5_000) is True
    assert client.batches == [["a", "b"]]
    assert processor.stats() == Stats(sent=2)


def test_shutdown_with_a_receiver_that_hangs_leaves_all_on_disk(delivery, path):
    """What is on its way when the time is over is on disk, too: it may arrive twice, but not never."""
    client = Memory()
    client.gate.clear()
    processor, tracer = delivery(client, max_batch_size=2, spool=Spool(path))
    end_spans(tracer, "a", "b", "c")
    assert client.called.wait(30)
    began = time.monotonic()
    processor.shutdown(0.3)
    assert time.monotonic() - began < 0.3 + MARGIN_SECONDS
    assert spooled(path) == 3
    client.gate.set()


def test_write_ahead_puts_spans_on_disk_before_they_are_sent(delivery, path):
    """With the receiver hanging, each span is on disk within the interval."""
    client = Memory()
    client.gate.clear()
    processor, tracer = delivery(client, spool=Spool(path, durability="write-ahead", interval_seconds=0.2))
    for count in range(1, 4):
        end_spans(tracer, f"span {count}")
        began = time.monotonic()
        wait_until(lambda count=count: path.exists() and spooled(path) == count)
        assert time.monotonic() - began < 0.2 + MARGIN_SECONDS
    client.gate.set()
    assert processor.force_flush(5_000) is True
    assert (client.names, spooled(path)) == (["span 1", "span 2", "span 3"], 0)


def test_what_is_refused_leaves_the_disk(delivery, path):
    """A request that the receiver will never take does not block those behind it."""
    client = Memory()
    client.answer = Rejected("no")
    processor, tracer = delivery(client, spool=Spool(path, durability="write-ahead"))
    end_spans(tracer, "a")
    assert processor.force_flush(5_000) is False
    assert (spooled(path), processor.stats()) == (0, Stats(taken=1, spooled=1, dropped={"refused": 1}))


def test_what_is_too_large_on_disk_goes_in_pieces(delivery, path):
    """A request from the disk that the receiver finds too large is split, and each span arrives once."""
    client = Memory()
    send = client.send
    client.send = lambda request: TooLarge("413", limit=40_000) if len(request.body) > 40_000 else send(request)
    processor, tracer = delivery(client, spool=Spool(path, durability="write-ahead"))
    for number in range(8):
        tracer.start_span(str(number), attributes={"text": "x" * 15_000}).end()
    assert processor.force_flush(5_000) is True
    assert (client.names, spooled(path)) == ([*map(str, range(8))], 0)


def test_what_is_too_large_and_no_request_is_refused(delivery, path):
    """What can't be taken apart is not sent again and again: it is lost, and counted."""
    assert SpoolFolder(Spool(path), DESTINATION).put([Request(b"no protobuf" * 10_000, 3)]) == []
    client = Memory()
    client.send = lambda _: TooLarge("413", limit=40_000)
    processor, _ = delivery(client, spool=Spool(path))
    wait_until(lambda: processor.stats().dropped == {"refused": 3})
    wait_until(lambda: spooled(path) == 0)


@pytest.mark.parametrize("durability", ["on-failure", "write-ahead"])
def test_a_spool_that_cannot_be_used_costs_one_line(delivery, tmp_path, caplog, durability):
    """Without a disk the processor works as one that has no spool, and says so once."""
    (tmp_path / "a file").write_text("")
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, spool=Spool(tmp_path / "a file" / "spool", durability=durability))
    for name in "abc":
        end_spans(tracer, name)
        assert processor.force_flush(50) is False
    client.answer = Success()
    assert processor.force_flush(5_000) is True
    assert {"a", "b", "c"} == set(client.names)
    assert processor.stats().sent == 3
    (line,) = [record.getMessage() for record in caplog.records if "spool can't be used" in record.getMessage()]
    assert str(tmp_path / "a file") in line


def test_a_damaged_file_costs_its_spans_alone(delivery, path, caplog):
    """A request that was changed on disk is not sent; its spans are counted, and one line tells."""
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, max_batch_size=1, spool=Spool(path))
    end_spans(tracer, "a", "b", "c")
    assert processor.force_flush(300) is False
    wait_until(lambda: spooled(path) == 3)
    sorted(path.iterdir())[1].write_bytes(b"garbage")
    client.answer = Success()
    assert processor.force_flush(5_000) is False
    assert sorted(client.names[-2:]) == ["a", "c"]
    assert processor.stats().dropped == {"spool_damaged": 1}
    assert len([record for record in caplog.records if "is damaged" in record.getMessage()]) == 1


def test_a_full_spool_drops_the_oldest_and_counts_them(delivery, path, caplog):
    """Beyond its size the oldest spans go, each counted, and one line tells."""
    client = Memory()
    client.answer = FAILS
    spool = Spool(path, durability="write-ahead", max_bytes=200_000)
    processor, tracer = delivery(client, max_batch_size=1, spool=spool)
    for number in range(40):
        tracer.start_span(str(number), attributes={"text": "x" * 10_000}).end()
    wait_until(lambda: processor.stats().spooled == 40)
    assert processor.force_flush(300) is False
    client.answer = Success()
    assert processor.force_flush(5_000) is False
    stats = processor.stats()
    assert stats.dropped == {"spool_full": 40 - stats.sent}
    assert sorted(client.names[-stats.sent :]) == [*map(str, range(40 - stats.sent, 40))]
    assert len([record for record in caplog.records if "oldest" in record.getMessage()]) == 1


@pytest.mark.parametrize("durability", ["on-failure", "write-ahead", None])
def test_what_never_gets_through_lets_others_pass(delivery, path, durability):
    """A request to which the receiver always answers that it should come later does not hold up those behind it."""
    client = Memory()
    send = client.send
    client.send = lambda request: FAILS if "poison" in span_names(request) else send(request)
    spool = None if durability is None else Spool(path, durability=durability)
    processor, tracer = delivery(client, max_batch_size=1, spool=spool)
    for name in ("poison", "a", "b"):
        end_spans(tracer, name)
        assert processor.force_flush(100) is False
    for _ in range(3):
        assert processor.force_flush(100) is False
    assert sorted(client.names) == ["a", "b"]


def test_a_flush_waits_for_what_was_on_disk_before(delivery, path):
    """Whoever flushes a new processor hears of what an earlier one has left, too."""
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, spool=Spool(path))
    end_spans(tracer, "a")
    processor.shutdown(1)
    client = Memory()
    processor, _ = delivery(client, spool=Spool(path))
    assert processor.force_flush(5_000) is True
    assert client.names == ["a"]


def test_two_processors_share_a_spool(delivery, path):
    """Whoever reaches the receiver sends for both; each flush waits for its own."""
    failing, well = Memory(), Memory()
    failing.answer = FAILS
    first, first_tracer = delivery(failing, spool=Spool(path))
    second, second_tracer = delivery(well, spool=Spool(path))
    end_spans(first_tracer, "first")
    assert first.force_flush(300) is False
    end_spans(second_tracer, "second")
    assert second.force_flush(5_000) is True
    assert sorted(well.names) == ["first", "second"]
    assert first.force_flush(5_000) is False, "its own way still fails"


def test_what_another_one_sends_is_waited_for_at_rest(delivery, path, monkeypatch):
    """While another process holds what this one has put, it is looked for now and then, not without pause."""
    client = Memory()
    client.answer = FAILS
    processor, tracer = delivery(client, spool=Spool(path))
    end_spans(tracer, "a")
    assert processor.force_flush(300) is False
    wait_until(lambda: spooled(path) == 1)
    other = SpoolFolder(Spool(path), DESTINATION)
    claim = next(other.claims())
    looks, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: looks.append(path) or listdir(path))
    wait_until(lambda: len(looks) > 2)  # when the next attempt is due
    looks.clear()
    time.sleep(1)  # so long it is watched
    assert len(looks) < 100
    other.free(claim)
    client.answer = Success()
    assert processor.force_flush(5_000) is True


def test_the_application_never_waits_for_the_disk(delivery, path, monkeypatch):
    """A disk that hangs delays no span that ends."""
    client = Memory()
    client.answer = FAILS
    _, tracer = delivery(client, max_batch_size=1, spool=Spool(path, durability="write-ahead"))
    end_spans(tracer, "makes the folder")
    wait_until(lambda: path.exists() and spooled(path) == 1)
    done, fsync = threading.Event(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.wait(30) and fsync(descriptor))
    began = time.monotonic()
    end_spans(tracer, *map(str, range(100)))
    assert time.monotonic() - began < MARGIN_SECONDS
    done.set()
    wait_until(lambda: spooled(path) == 101)


def test_breaking_off_ends_the_sending_of_a_backlog(delivery, path):
    """A thread that is about a long backlog when the time is over lets go of it, and what it has left stays on disk."""
    client = Memory()
    processor, tracer = delivery(client, max_batch_size=1, spool=Spool(path, durability="write-ahead"))
    client.gate.clear()
    end_spans(tracer, *map(str, range(20)))
    assert client.called.wait(30)
    processor.shutdown(0.2)
    client.answer = FAILS
    client.gate.set()
    wait_until(lambda: not processor._delivery._sender.is_running)
    assert spooled(path) == 20
    assert len(client.batches) <= 2
