"""The seed program, through the Collector into Jaeger: what is read there is what was sent."""

import re

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.application import run
from tests.e2e.program import ROOT
from tests.otlp_receivers import plain
from tests.test_example import ANSWER, FIRST_ID, QUESTION, tree

PROTOCOLS = ["grpc", "http/protobuf"]


def run_seed(tmp_path, collector, protocol, script, *arguments):
    """Run the seed program, and return the id of the trace that it prints."""
    endpoint = collector.endpoint(protocol)
    printed = run(
        tmp_path, script, *arguments, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol
    )
    (trace_id,) = re.findall(r"^trace ([0-9a-f]{32})$", printed, re.MULTILINE)
    return trace_id


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_trace_of_the_program(protocol, jaeger, collector, tmp_path):
    """The tree of the chain, and the messages of its model, are in Jaeger."""
    trace_id = run_seed(tmp_path, collector, protocol, ROOT / "examples" / "callbacks_at_runtime.py")
    spans = jaeger.wait_for_spans(trace_id, 5)

    assert tree(spans) == {
        "RunnableSequence": {
            "ChatPromptTemplate": {},
            "chat claude-3-sonnet-20240229": {"anthropic.messages.create": {"POST": {}}},
        }
    }
    (chat,) = (span for span in spans if span["name"].startswith("chat "))
    assert {name: value for name, value in chat["attributes"].items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-3-sonnet-20240229",
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.prompt.variable.number": "2",
        "gen_ai.response.model": "claude-3-sonnet-20240229",
        "gen_ai.response.finish_reasons": ["end_turn"],
        "gen_ai.response.id": FIRST_ID,
        "gen_ai.usage.input_tokens": 16,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.input.messages": QUESTION,
        "gen_ai.output.messages": ANSWER,
    }
    assert {span["resource"]["service.name"] for span in spans} == {"runspan-demo"}


@pytest.mark.parametrize("way", ["invoke", "astream"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_changes_on_the_way(protocol, way, jaeger, collector, tmp_path):
    """Every span that the process ended is in Jaeger with the same ids, times, status, scope, resource, attributes."""
    record = tmp_path / "record"
    trace_id = run_seed(tmp_path, collector, protocol, "seed_with_record.py", record, way)
    sent = ExportTraceServiceRequest.FromString(record.read_bytes())
    sent = [
        plain(of_resource, of_scope, span)
        for of_resource in sent.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]
    assert len(sent) == 5

    def by_id(spans):
        return sorted(spans, key=lambda span: span["span_id"])

    assert by_id(jaeger.wait_for_spans(trace_id, 5)) == by_id(sent)
