"""The overlays of collector-config/ at work: sampling, metrics, two tiers."""

import json
import re
from collections import Counter

import pytest
from opentelemetry.trace import Status, StatusCode

from tests.e2e.collector import Collector
from tests.e2e.program import free_addresses, get, wait_until
from tests.e2e.spans import read, tracer, wait_for

BORING = {"gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 20}


def writing(folder, *overlays, name="collector", **variables):
    """Return a Collector that writes what it sends to `NAME.jsonl` in the folder."""
    files = ("base.yaml", *overlays, "backends/file.yaml")
    return Collector(folder, files=files, name=name, OTELCOL_FILE=folder / f"{name}.jsonl", **variables)


def sampler(folder, name="collector", **variables):
    """Return a Collector that decides after a second."""
    return writing(folder, "sampling.yaml", name=name, SAMPLING_WAIT="1s", **variables)


def trace(spans, name, *, inner=BORING, attributes=None, status=None):
    """Record a chain with a model call below it."""
    with spans.start_as_current_span(name, attributes=attributes) as chain:
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


WORTH_IT = ["failed", "soft error", "abandoned", "expensive call", "expensive agent"]


@pytest.mark.parametrize(
    ("percent", "kept"), [("0", WORTH_IT), ("100", [*WORTH_IT, "boring", "cancelled", "cheap agent"])]
)
def test_sampling_keeps_what_is_worth_it(start, tmp_path, percent, kept):
    """Traces with errors and expensive ones are kept whole, of the rest the share that was asked for."""
    collector = start(sampler(tmp_path, SAMPLING_PERCENT=percent))
    with tracer(collector) as spans:
        record_all_kinds(spans)
    wait_for(2 * len(kept), tmp_path / "collector.jsonl")
    collector.stop()  # decides on whatever is left
    names = [span["name"] for span in read(tmp_path / "collector.jsonl")]
    assert sorted(names) == sorted(kept + ["chat"] * len(kept))


def test_sampling_keeps_slow_traces(start, tmp_path):
    """A trace that took longer than the limit is kept, whatever is in it."""
    collector = start(sampler(tmp_path, SAMPLING_PERCENT="0", SAMPLING_SLOW_MS="5000"))
    with tracer(collector) as spans:
        trace(spans, "quick")
        spans.start_span("slow", start_time=1_000_000_000).end(end_time=7_000_000_000)
    wait_for(1, tmp_path / "collector.jsonl")
    collector.stop()
    assert [span["name"] for span in read(tmp_path / "collector.jsonl")] == ["slow"]


def calls(text, name):
    """Return how many calls of the name are counted; Jaeger asks for this series and these labels."""
    labels = rf'.*service_name=.*span_kind=.*span_name="{name}".*status_code=.*'
    found = re.search(rf"^traces_span_metrics_calls_total\{{{labels}\}} (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def test_metrics_count_every_span(start, tmp_path):
    """Prometheus finds the calls and durations of spans, by operation and model."""
    (endpoint,) = free_addresses(1)
    settings = {"METRICS_ENDPOINT": endpoint, "METRICS_FLUSH_INTERVAL": "1s"}
    collector = start(writing(tmp_path, "metrics.yaml", **settings))
    with tracer(collector) as spans:
        trace(spans, "chain", inner={"gen_ai.operation.name": "chat", "gen_ai.request.model": "a-model"})

    def scraped():
        return (get(f"http://{endpoint}/metrics") or b"").decode()

    wait_until(lambda: calls(scraped(), "chat") and calls(scraped(), "chain"), 30, scraped)
    text = scraped()
    assert (calls(text, "chat"), calls(text, "chain")) == (1, 1)
    assert re.search(r'traces_span_metrics_calls_total\{.*gen_ai_request_model="a-model".*span_name="chat"', text)
    assert "traces_span_metrics_duration_milliseconds_bucket{" in text


def gateway(folder, name, samplers):
    """Return a Collector that gives each trace to one of the samplers."""
    addresses = json.dumps([each.address for each in samplers])
    return Collector(folder, files=("base.yaml", "backends/sampler.yaml"), name=name, SAMPLERS=addresses)


def test_each_trace_is_whole_in_one_of_two_samplers(start, tmp_path):
    """Whichever gateway its spans pass, a trace comes together in one sampler; both samplers get some."""
    names = ("sampler-1", "sampler-2")
    samplers = [start(sampler(tmp_path, name, SAMPLING_PERCENT="100")) for name in names]
    gateways = [start(gateway(tmp_path, name, samplers)) for name in ("gateway-1", "gateway-2")]
    with tracer(*gateways) as spans:
        for _ in range(40):
            trace(spans, "chain")
    files = [tmp_path / f"{name}.jsonl" for name in names]
    wait_for(80, *files)
    traces = [Counter(span["traceId"] for span in read(file)) for file in files]
    assert [set(sizes.values()) for sizes in traces] == [{2}, {2}]
    assert len(traces[0]) + len(traces[1]) == 40


def test_a_gateway_keeps_spans_until_a_sampler_is_there(start, tmp_path):
    """What no sampler takes waits in the gateway's queue, and arrives when there is one."""
    late = sampler(tmp_path, "sampler", SAMPLING_PERCENT="100")
    first = start(gateway(tmp_path, "gateway", [late]))
    with tracer(first) as spans:
        trace(spans, "chain")
    start(late)
    assert sorted(span["name"] for span in wait_for(2, tmp_path / "sampler.jsonl")) == ["chain", "chat"]
