"""Ctrl-C, and what the handlers of other signals raise, anywhere in what the application calls."""

import signal
import threading

import pytest

from tests.export.memory import Memory, end_spans
from tests.interrupts import OURS, in_a_thread, interrupt_everywhere
from tests.waiting import wait_until


@in_a_thread
def test_an_interrupt_where_a_span_ends_does_not_stop_the_delivery(delivery):
    """Wherever Ctrl-C strikes while a span is queued and a thread is started, what ends later is delivered."""
    processor, tracer = delivery(Memory())

    def check(at):
        end_spans(tracer, "after")
        assert processor.force_flush(20_000), at
        wait_until(lambda: not processor._delivery._sender.is_running)

    assert interrupt_everywhere(lambda: end_spans(tracer, "perhaps"), (OURS,), 1, check) > 50


def test_nothing_is_kept_of_a_flush_that_was_interrupted(delivery):
    """Ctrl-C ends the waiting of a flush, and the delivery goes on as if nobody waited."""
    client = Memory()
    client.gate.clear()
    processor, tracer = delivery(client)
    end_spans(tracer, "a")
    main = threading.get_ident()

    def interrupt():
        client.called.wait(30)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        processor.force_flush(30_000)
    assert processor._delivery._marks == []
    client.gate.set()
    assert processor.force_flush(20_000)
