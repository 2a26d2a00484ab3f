"""Content as structured values: whatever it is, receivers can read what is sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableLambda
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runspan import Settings
from tests.tracing import Tracing


def sent_inputs(value):
    """Run a chain on a value, and return its input as the protobuf library reads it from what is sent."""
    tracing = Tracing(Settings(content_form="structured", capture_chains=True))
    RunnableLambda(lambda _: 1).invoke(value, tracing.config)
    request = ExportTraceServiceRequest.FromString(encode_spans(tracing.spans).SerializeToString())
    (span,) = request.resource_spans[0].scope_spans[0].spans
    return next(pair.value for pair in span.attributes if pair.key == "langchain.inputs")


def read(value):
    """Return a value of OTLP as Python's; texts that are JSON are parsed."""
    match value.WhichOneof("value"):
        case "array_value":
            return [read(each) for each in value.array_value.values]
        case "kvlist_value":
            return {pair.key: read(pair.value) for pair in value.kvlist_value.values}
        case "string_value" if value.string_value.startswith(("{", "[")):
            return json.loads(value.string_value)
        case kind:
            return getattr(value, kind) if kind else None


@pytest.mark.parametrize("kinds", ["d", "l", "dl", "ld"])
@pytest.mark.parametrize("depth", [1, 23, 24, 25, 31, 32, 50, 99])
def test_any_depth_arrives(depth, kinds):
    """Dictionaries and lists within each other arrive whole: structured as far as readers go, as JSON text below."""
    value = 1
    for level in range(depth):
        value = {"a": value} if kinds[level % len(kinds)] == "d" else [value]
    assert read(sent_inputs(value)) == value


def test_the_top_is_structured():
    """What is nested too deeply costs no structure above it."""
    deep = {"a": 1}
    for _ in range(30):
        deep = {"a": deep}
    sent = sent_inputs({"shallow": [1, {"b": 2}], "deep": deep}).kvlist_value.values
    assert [pair.value.WhichOneof("value") for pair in sent] == ["array_value", "kvlist_value"]


json_values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(-(2**70), 2**70) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


@given(json_values)
def test_any_json_arrives(value):
    """Whatever it is, also numbers of more than 64 bits, the span arrives with its input."""
    assert sent_inputs({"value": value}).kvlist_value.values[0].key == "value"
