"""Delivery to real receivers over both protocols."""

import logging
import time

import grpc
import pytest

from runspan.export.otlp.target import GRPC, HTTP
from tests.otlp_receivers import GrpcReceiver, HttpReceiver

MARGIN_SECONDS = 5
RECEIVERS = {HTTP: HttpReceiver, GRPC: GrpcReceiver}

pytestmark = pytest.mark.parametrize("protocol", [HTTP, GRPC])


@pytest.fixture
def receiver(protocol):
    with RECEIVERS[protocol]() as receiver:
        yield receiver


def lines(caplog):
    return [(record.name, record.levelname, record.getMessage()) for record in caplog.records]


def test_a_trace_arrives_whole(protocol, receiver, delivery, quiet):
    """Names, identities, parents, status, attributes, scope and resource arrive; the flush says True."""
    processor, tracer = delivery(endpoint=receiver.endpoint, protocol=protocol)
    with tracer.start_as_current_span("outer") as outer, tracer.start_as_current_span("inner") as inner:
        inner.set_attributes({"tokens": 12, "ratio": 0.5, "names": ["a", "b"], "yes": True})
    assert processor.force_flush(5_000) is True
    spans = receiver.received()
    kept = ("name", "trace_id", "span_id", "parent_span_id", "kind", "status", "attributes", "scope")
    trace_id, outer_id = f"{outer.get_span_context().trace_id:032x}", f"{outer.get_span_context().span_id:016x}"
    inner_id = f"{inner.get_span_context().span_id:016x}"
    attributes = {"tokens": 12, "ratio": 0.5, "names": ["a", "b"], "yes": True}
    assert [tuple(span[key] for key in kept) for span in spans] == [
        ("inner", trace_id, inner_id, outer_id, "INTERNAL", "UNSET", attributes, ("test", "")),
        ("outer", trace_id, outer_id, "", "INTERNAL", "UNSET", {}, ("test", "")),
    ]
    assert spans[0]["resource"]["telemetry.sdk.name"] == "opentelemetry"


def test_nobody_listens(protocol, dead_endpoint, delivery, caplog):
    """With nobody listening a flush is False in its time; shutdown breaks off the retries and logs one line."""
    processor, tracer = delivery(endpoint=dead_endpoint, protocol=protocol)
    for _ in range(3):
        tracer.start_span("lost").end()
    began = time.monotonic()
    assert processor.force_flush(300) is False
    assert time.monotonic() - began < 0.3 + MARGIN_SECONDS
    processor.shutdown(1)
    assert time.monotonic() - began < 1.3 + MARGIN_SECONDS
    (name, level, message), lost = lines(caplog)
    path = "/v1/traces" if protocol == HTTP else ""
    assert (name, level) == ("runspan", "WARNING")
    assert message.startswith(f"could not deliver 3 spans to {dead_endpoint}{path}: ")
    assert "refused" in message.lower()
    assert message.endswith(
        ". Is a collector listening there? Until it answers up to 2,048 spans wait, further ones are dropped."
    )
    assert lost[2].startswith(f"could not deliver 3 spans to {dead_endpoint}{path}: ")
    assert lost[2].endswith(" They are lost.")


def test_nobody_answers(protocol, silent_endpoint, delivery, caplog):
    """An endpoint that accepts and never answers costs no more than the time given, and one line."""
    processor, tracer = delivery(endpoint=silent_endpoint, protocol=protocol)
    tracer.start_span("lost").end()
    began = time.monotonic()
    assert processor.force_flush(200) is False
    processor.shutdown(0.5)
    assert time.monotonic() - began < 0.7 + MARGIN_SECONDS
    path = "/v1/traces" if protocol == HTTP else ""
    assert lines(caplog) == [
        (
            "runspan",
            "WARNING",
            (
                f"could not deliver 1 span to {silent_endpoint}{path}: no answer within 0.5 s."
                " Is a collector listening there? They are lost."
            ),
        )
    ]


def test_the_receiver_rejects(protocol, receiver, delivery, caplog):
    """A refusal makes the flush False and names its reason; when it ends one INFO line says so."""
    caplog.set_level(logging.INFO)
    processor, tracer = delivery(endpoint=receiver.endpoint, protocol=protocol)
    receiver.refuse(401 if protocol == HTTP else grpc.StatusCode.UNAUTHENTICATED)
    for name in ("lost", "lost too"):
        tracer.start_span(name).end()
        assert processor.force_flush(5_000) is False
    receiver.accept()
    tracer.start_span("kept").end()
    assert processor.force_flush(5_000) is True
    assert [span["name"] for span in receiver.received()] == ["kept"]
    (first, second) = lines(caplog)
    assert first[:2] == ("runspan", "WARNING")
    assert ("401" if protocol == HTTP else "UNAUTHENTICATED") in first[2]
    destination = receiver.endpoint + ("/v1/traces" if protocol == HTTP else "")
    assert second == ("runspan", "INFO", f"delivery to {destination} works again; 2 spans were lost before.")


def test_what_waits_and_what_is_lost_are_told_apart(protocol, receiver, delivery, caplog):
    """Spans that had to wait and are refused then are no news of the same kind: each is one line, with its reason."""
    is_http = protocol == HTTP
    processor, tracer = delivery(endpoint=receiver.endpoint, protocol=protocol)
    receiver.refuse(503 if is_http else grpc.StatusCode.UNAVAILABLE)
    tracer.start_span("waits").end()
    assert processor.force_flush(200) is False
    receiver.refuse(401 if is_http else grpc.StatusCode.UNAUTHENTICATED)
    for name in ("lost", "lost too"):
        tracer.start_span(name).end()
        assert processor.force_flush(5_000) is False
    waiting, lost = (message for *_, message in lines(caplog))
    assert ("503" if is_http else "UNAVAILABLE") in waiting
    assert ("401" if is_http else "UNAUTHENTICATED") in lost
    assert lost.endswith(". They are lost, since it would refuse them again. Check endpoint and headers.")


def test_a_passing_fault_is_outlived(protocol, receiver, delivery):
    """While the receiver fails a flush is False; once the receiver recovers the same spans arrive."""
    processor, tracer = delivery(endpoint=receiver.endpoint, protocol=protocol)
    receiver.refuse(503 if protocol == HTTP else grpc.StatusCode.UNAVAILABLE)
    tracer.start_span("late").end()
    assert processor.force_flush(100) is False
    receiver.wait_for_attempts(1)
    receiver.accept()
    assert processor.force_flush(10_000) is True
    assert [span["name"] for span in receiver.received()] == ["late"]
