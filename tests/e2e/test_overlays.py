"""The overlays of collector-config/ at work: sampling, metrics, two tiers, masked secrets."""

import json
import re
from collections import defaultdict

import pytest
from opentelemetry.trace import Status, StatusCode

from tests.e2e.collectors import answer, collector, free_port, tracer, until

SAMPLER = ("base.yaml", "sampling.yaml", "backends/file.yaml")
BORING = {"gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 20}


def trace(spans, name, *, inner=BORING, **root):
    """Record a chain with a model call below it, the attributes and the status as given."""
    status = root.pop("status", None)
    with spans.start_as_current_span(name, attributes=root.pop("attributes", {})) as chain:
        with spans.start_as_current_span("chat", attributes=inner):
            pass
        if status:
            chain.set_status(status)


def record_all_kinds(spans):
    """Record one trace of each kind that sampling tells apart."""
    trace(spans, "boring")
    trace(spans, "failed", status=Status(StatusCode.ERROR, "no such tool"))
    trace(spans, "soft error", inner={"error.type": "tool_error"})
    trace(spans, "abandoned", attributes={"langchain.run.outcome": "abandoned"})
    trace(spans, "cancelled", attributes={"langchain.run.outcome": "cancelled"})
    trace(spans, "expensive call", inner={"gen_ai.usage.input_tokens": 250_000})
    trace(spans, "expensive agent", attributes={"langchain.subtree.output_tokens": 40_000})
    trace(spans, "cheap agent", attributes={"langchain.subtree.input_tokens": 4_000})


ALL_KINDS = {
    "boring",
    "failed",
    "soft error",
    "abandoned",
    "cancelled",
    "expensive call",
    "expensive agent",
    "cheap agent",
}


@pytest.mark.parametrize(
    ("percent", "kept"),
    [("0", {"failed", "soft error", "abandoned", "expensive call", "expensive agent"}), ("100", ALL_KINDS)],
)
def test_sampling_keeps_what_is_worth_it(tmp_path, percent, kept):
    """Traces with errors and expensive ones are kept whole, of the rest the share that was asked for."""
    with collector(tmp_path / "sampler", *SAMPLER, SAMPLING_WAIT="1s", SAMPLING_PERCENT=percent) as sampler:
        with tracer(sampler) as spans:
            record_all_kinds(spans)
        until(lambda: len(sampler.spans()) == 2 * len(kept))
    assert sorted(span["name"] for span in sampler.spans()) == sorted([*kept, *["chat"] * len(kept)])


def test_sampling_keeps_slow_traces(tmp_path):
    """A trace that took longer than the limit is kept, whatever is in it."""
    limits = {"SAMPLING_WAIT": "1s", "SAMPLING_PERCENT": "0", "SAMPLING_SLOW_MS": "5000"}
    with collector(tmp_path / "sampler", *SAMPLER, **limits) as sampler:
        with tracer(sampler) as spans:
            trace(spans, "quick")
            spans.start_span("slow", start_time=1_000_000_000).end(end_time=7_000_000_000)
        until(sampler.spans)
    assert [span["name"] for span in sampler.spans()] == ["slow"]


def test_metrics_count_every_span(tmp_path):
    """Prometheus finds the calls and durations of spans, by operation and model."""
    endpoint = f"127.0.0.1:{free_port()}"
    settings = {"METRICS_ENDPOINT": endpoint, "METRICS_FLUSH_INTERVAL": "1s"}
    with collector(tmp_path / "it", "base.yaml", "metrics.yaml", "backends/file.yaml", **settings) as running:
        with tracer(running) as spans:
            trace(spans, "chain", inner={"gen_ai.operation.name": "chat", "gen_ai.request.model": "a-model"})
        counted = until(lambda: calls(answer(f"http://{endpoint}/metrics"), "chat"))
        text = answer(f"http://{endpoint}/metrics")
    assert counted == 1
    assert calls(text, "chain") == 1
    assert re.search(r'traces_span_metrics_calls_total\{.*gen_ai_request_model="a-model".*span_name="chat"', text)
    assert "traces_span_metrics_duration_milliseconds_bucket{" in text


def calls(text, name):
    """Return how many calls of the name are counted; Jaeger asks for this series and these labels."""
    found = re.search(
        rf'^traces_span_metrics_calls_total\{{.*service_name=.*span_name="{name}".*status_code=.*\}} (\d+)',
        text or "",
        re.MULTILINE,
    )
    return int(found[1]) if found else 0


def test_each_trace_is_whole_in_one_of_two_samplers(tmp_path):
    """Whichever gateway its spans pass, a trace comes together in one sampler; both samplers get some."""
    everything = {"SAMPLING_WAIT": "1s", "SAMPLING_PERCENT": "100"}
    gateway = ("base.yaml", "backends/sampler.yaml")
    with (
        collector(tmp_path / "sampler-1", *SAMPLER, **everything) as first,
        collector(tmp_path / "sampler-2", *SAMPLER, **everything) as second,
    ):
        samplers = {"SAMPLERS": json.dumps([each.endpoint.removeprefix("http://") for each in (first, second)])}
        with (
            collector(tmp_path / "gateway-1", *gateway, **samplers) as one,
            collector(tmp_path / "gateway-2", *gateway, **samplers) as other,
        ):
            with tracer(one, other) as spans:
                for _ in range(40):
                    trace(spans, "chain")
            until(lambda: len(first.spans()) + len(second.spans()) == 80)
    sizes = [spans_by_trace(each.spans()) for each in (first, second)]
    assert [set(each.values()) for each in sizes] == [{2}, {2}]
    assert len(sizes[0]) + len(sizes[1]) == 40


def test_a_gateway_keeps_spans_until_a_sampler_is_there(tmp_path):
    """What no sampler takes waits in the gateway's queue, and arrives when there is one."""
    port = free_port()
    gateway = collector(
        tmp_path / "gateway", "base.yaml", "backends/sampler.yaml", SAMPLERS=json.dumps([f"127.0.0.1:{port}"])
    )
    with gateway as running:
        with tracer(running) as spans:
            trace(spans, "chain")
        settings = {"SAMPLING_WAIT": "1s", "SAMPLING_PERCENT": "100"}
        with collector(tmp_path / "sampler", *SAMPLER, grpc=port, **settings) as sampler:
            until(lambda: len(sampler.spans()) == 2)


def spans_by_trace(spans):
    """Return how many spans there are of each trace."""
    counts = defaultdict(int)
    for span in spans:
        counts[span["traceId"]] += 1
    return counts


def test_secrets_are_masked_and_tokens_are_not(tmp_path):
    """Keys and bearer tokens become stars wherever a span has text; numbers of tokens stay numbers."""
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    attributes = {
        "gen_ai.usage.input_tokens": 12,
        "langchain.subtree.output_tokens": 7,
        "langchain.metadata.api_key": "short",
        "gen_ai.input.messages": json.dumps([{"content": f"Bearer {secret} of ada@example.com"}]),
        "list": ["a", secret],
    }
    with collector(tmp_path / "it", "base.yaml", "backends/file.yaml", MASK_ALSO=r"[\w.]+@[\w.]+") as running:
        with tracer(running) as spans:
            span = spans.start_span(f"chat {secret}", attributes=attributes)
            span.add_event("exception", {"exception.message": f"{secret} is wrong"})
            span.set_status(Status(StatusCode.ERROR, f"{secret} is wrong"))
            span.end()
        (masked,) = until(running.spans)
    assert masked["name"] == "chat ****"
    assert masked["status"] == {"message": "**** is wrong", "code": 2}
    assert masked["events"][0]["attributes"] == [
        {"key": "exception.message", "value": {"stringValue": "**** is wrong"}}
    ]
    assert {each["key"]: each["value"] for each in masked["attributes"]} == {
        "gen_ai.usage.input_tokens": {"intValue": "12"},
        "langchain.subtree.output_tokens": {"intValue": "7"},
        "langchain.metadata.api_key": {"stringValue": "****"},
        "gen_ai.input.messages": {"stringValue": '[{"content": "Bearer **** of ****"}]'},
        "list": {"stringValue": '["a","****"]'},
    }
