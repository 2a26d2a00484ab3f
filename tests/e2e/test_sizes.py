"""Spans that are large, and many, against the limits that servers have unless they are told otherwise."""

import json

import pytest

from tests.e2e.application import run
from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger

GRPC_LIMIT = {"receivers.otlp.protocols.grpc.max_recv_msg_size_mib": 4}
HTTP_LIMIT = {"receivers.otlp.protocols.http.max_request_body_size": 20 << 20}


def send_and_read(tmp_path, jaeger, protocol, endpoint):
    """Run the application, and return what Jaeger has of its trace."""
    printed = run(tmp_path, "sizes.py", protocol, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    trace_id, delivered = printed.splitlines()[-1].split()
    assert delivered == "True"
    return jaeger.wait_for_spans(trace_id, 1 + 512 + 1, seconds=90)


def check(spans):
    """Check that all came, whole but for the large one, which tells what it has lost and is valid all the same."""
    usual = {span["attributes"]["number"]: span["attributes"] for span in spans if span["name"] == "usual"}
    text = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "x" * 50_000}]}])
    assert usual == {number: {"number": number, "gen_ai.input.messages": text} for number in range(512)}
    assert [span["name"] for span in spans if span["name"] != "usual" and span["name"] != "large"] == ["root"]

    (large,) = (span["attributes"] for span in spans if span["name"] == "large")
    ((message,),) = (entry["parts"] for entry in json.loads(large.pop("gen_ai.input.messages")))
    assert 3_000_000 < len(message.pop("content")) < 4 << 20
    assert message == {"type": "text"}
    assert large.pop("runspan.shortened.original_size") > 6_000_000
    assert large == {"number": -1, "runspan.shortened": ["gen_ai.input.messages"]}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_large_spans_through_the_collector(protocol, start, jaeger, tmp_path):
    """512 spans of 50 KB arrive whole at a Collector with the default limits, and one of 6 MB arrives shortened."""
    collector = start(Collector(tmp_path, settings=GRPC_LIMIT | HTTP_LIMIT, JAEGER_OTLP_ENDPOINT=jaeger.otlp))
    check(send_and_read(tmp_path, jaeger, protocol, collector.endpoint(protocol)))


def test_large_spans_straight_to_jaeger(start, tmp_path):
    """The same without a Collector: they arrive at a Jaeger with the default limit."""
    jaeger = start(Jaeger(tmp_path, settings=GRPC_LIMIT))
    check(send_and_read(tmp_path, jaeger, "grpc", f"http://{jaeger.otlp}"))
