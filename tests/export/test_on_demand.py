"""Clients are made when there is something to send."""

import pytest

from runspan.export.stats import Stats
from tests.export.memory import Memory, end_spans
from tests.otlp_receivers import GrpcReceiver, HttpReceiver
from tests.programs import run_python
from tests.waiting import wait_until


class Made:
    """Makes clients and keeps them."""

    def __init__(self):
        self.clients = []

    def __call__(self):
        self.clients.append(Memory())
        return self.clients[-1]


def test_a_client_is_made_when_it_is_needed_and_once(delivery):
    """Nothing is made before the first request, and all requests share what it made."""
    made = Made()
    processor, tracer = delivery(make_client=made)
    assert processor.force_flush(5_000) is True
    assert made.clients == []
    for name in ("a", "b"):
        end_spans(tracer, name)
        assert processor.force_flush(5_000) is True
    assert [client.batches for client in made.clients] == [[["a"], ["b"]]]


def test_a_client_can_be_made_before(delivery):
    """What a check has made is what the first request uses."""
    made = Made()
    processor, tracer = delivery(make_client=made)
    processor._delivery.check()
    end_spans(tracer, "a")
    assert processor.force_flush(5_000) is True
    assert [client.batches for client in made.clients] == [[["a"]]]


def test_after_shutdown_no_client_is_made(delivery, quiet):
    """After shutdown nothing is sent and nothing new stays open; a second shutdown does nothing."""
    used, unused = Made(), Made()
    (first, tracer), (second, late) = delivery(make_client=used), delivery(make_client=unused)
    end_spans(tracer, "a")
    for processor in (first, second, first):
        processor.shutdown(5)
    end_spans(tracer, "late")
    end_spans(late, "late")
    assert ([client.names for client in used.clients], unused.clients) == ([["a"]], [])
    assert [client.closes for client in used.clients] == [1]


def test_a_client_that_is_made_when_the_time_is_over_is_closed(delivery, quiet):
    """The time may be over in the middle of making it; what was made is closed and sends nothing."""
    made = Made()

    def make():
        processor.shutdown(0)
        return made()

    processor, tracer = delivery(make_client=make)
    end_spans(tracer, "a")
    assert processor.force_flush(5_000) is False
    wait_until(lambda: [client.closes for client in made.clients] == [1])
    assert made.clients[0].batches == []
    assert processor.stats() == Stats(taken=1, dropped={"given_up": 1})


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("OTEL_X is wrong."), "ValueError: OTEL_X is wrong."),
        (FileNotFoundError(2, "missing", "ca.pem"), "FileNotFoundError: [Errno 2] missing: 'ca.pem'"),
        (LookupError("of a provider"), "its client could not be built; the log of 'runspan' names why"),
    ],
)
def test_what_cannot_be_made_may_be_sent_later(delivery, caplog, error, reason):
    """What the environment names may be there at the next try; only a check, asked for by name, raises."""
    made, errors = Made(), [error, error]

    def make():
        if errors:
            raise errors.pop()
        return made()

    processor, tracer = delivery(make_client=make)
    with pytest.raises(type(error)):
        processor._delivery.check()
    end_spans(tracer, "a")
    assert processor.force_flush(200) is False
    assert f": {reason}. Is a collector" in caplog.text
    assert processor.force_flush(5_000) is True
    assert [client.names for client in made.clients] == [["a"]]


@pytest.mark.parametrize(("receiver_class", "protocol"), [(HttpReceiver, "http/protobuf"), (GrpcReceiver, "grpc")])
def test_a_forked_child_has_a_connection_of_its_own(receiver_class, protocol):
    """What parent and child send with one processor arrives, in turns and after the child is gone."""
    with receiver_class() as receiver:
        ended = run_python(
            f"""
            import os, warnings
            from opentelemetry.sdk.trace import TracerProvider
            from runspan import OtlpSpanProcessor

            def send(name):
                tracer.start_span(name).end()
                return processor.force_flush(10_000)

            warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of forks while threads run
            processor = OtlpSpanProcessor("{receiver.endpoint}", protocol="{protocol}")
            provider = TracerProvider(shutdown_on_exit=False)
            provider.add_span_processor(processor)
            tracer = provider.get_tracer("test")
            answers = [send("parent")]
            child = os.fork()
            if not child:
                send("child")
                processor.shutdown()
                os._exit(0)
            os.waitpid(child, 0)
            answers.append(send("parent again"))
            emit(answers)
            """
        )
        assert ended.emitted == [[True, True]]
        assert [span["name"] for span in receiver.received()] == ["parent", "child", "parent again"]


def test_what_is_given_up_is_not_encoded(delivery, monkeypatch, quiet):
    """What is lost at the end is not made into requests before, which may take longer than there is time."""
    client = Memory()
    client.gate.clear()
    processor, tracer = delivery(client, max_batch_size=1)
    end_spans(tracer, "hangs")
    assert client.called.wait(30)
    end_spans(tracer, "waits", "waits, too")
    monkeypatch.setattr("runspan.export.sending.encode", None)
    processor.shutdown(0.1)
    client.gate.set()
    assert processor.stats() == Stats(taken=3, dropped={"given_up": 3})
