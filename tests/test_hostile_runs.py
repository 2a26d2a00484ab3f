"""Runs with anything in them, under any limit: the application gets its result, each run has one sound span.

``make fuzz`` looks at some minutes' worth of them, by ``FUZZ_EXAMPLES``.
"""

import json
import logging
import os
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from runspan import OpenTelemetryCallbackHandler, Settings, semconv
from tests.payload.test_hostile_payloads import answers, junk
from tests.payload.test_to_json import any_values
from tests.tracing import Tracing

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
JSON = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.call.arguments",
    "gen_ai.retrieval.documents",
    "gen_ai.tool.definitions",
}

big = st.builds(lambda value, times: [value] * times, any_values, st.integers(0, 3_000))
texts = st.builds(lambda text, times: text * times, st.text(st.characters(), max_size=9), st.integers(0, 9_000))
values = junk | any_values | big | texts
limits = st.builds(
    Settings,
    capture_chains=st.just("all"),
    max_attribute_bytes=st.integers(1, 3_000) | st.just(60_000),
    max_span_bytes=st.integers(1, 6_000) | st.just(240_000),
    max_trace_bytes=st.integers(1, 9_000) | st.just(4_000_000),
    content_form=st.sampled_from(["json", "structured"]),
    redact=st.sampled_from([None, lambda text, _: text[::-1], lambda *_: 5]),
)
tracing = Tracing()


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture(scope="module")
def logged():
    """Keep what runspan logs while this module runs."""
    lines, logger = Lines(), logging.getLogger("runspan")
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)


def content_bytes(span):
    """Return the bytes of each attribute of content that is text."""
    found = span.attributes.items()
    names = semconv.CONTENT - {semconv.INPUTS_TYPE, semconv.OUTPUTS_TYPE}
    return {name: len(value.encode()) for name, value in found if name in names and isinstance(value, str)}


def run_each(handler, value, messages, answer):
    """Report one run of each kind, one within the other; return how many."""
    ids = [uuid4() for _ in range(4)]
    response = LLMResult(generations=[[ChatGeneration(message=answer)]])
    handler.on_chain_start({}, value, run_id=ids[0], name="chain")
    handler.on_chat_model_start({}, [messages], run_id=ids[1], parent_run_id=ids[0], invocation_params={"model": "m"})
    handler.on_llm_end(response, run_id=ids[1], parent_run_id=ids[0])
    inputs = {"value": value}
    handler.on_tool_start({"name": "t"}, "text", run_id=ids[2], parent_run_id=ids[0], inputs=inputs)
    handler.on_tool_end(value, run_id=ids[2], parent_run_id=ids[0])
    handler.on_retriever_start({}, "query", run_id=ids[3], parent_run_id=ids[0])
    handler.on_retriever_end([Document("d", metadata={"value": value})], run_id=ids[3], parent_run_id=ids[0])
    handler.on_chain_end(value, run_id=ids[0])
    return len(ids)


@settings(max_examples=EXAMPLES)
@given(
    values,
    st.lists(st.builds(HumanMessage, texts) | st.builds(ToolMessage, texts, tool_call_id=texts)),
    answers,
    limits,
)
def test_any_payload_under_any_limit(logged, value, messages, answer, limits):
    """Each run has one ended span, within its budgets, with valid JSON in UTF-8, and nothing is logged."""
    tracing.exporter.clear()
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, settings=limits)
    count = run_each(handler, value, messages, answer)
    spans = tracing.spans
    assert len(spans) == count
    assert handler.open_runs == 0
    total = 0
    for span in spans:
        sizes = content_bytes(span)
        assert all(size <= limits.max_attribute_bytes for size in sizes.values())
        assert sum(sizes.values()) <= limits.max_span_bytes
        total += sum(sizes.values())
        if limits.content_form == "json":
            for name in JSON & span.attributes.keys():
                json.loads(span.attributes[name])
        for side in ("input", "output"):
            if span.attributes.get(f"{side}.mime_type") == "application/json" and f"{side}.value" in span.attributes:
                json.loads(span.attributes[f"{side}.value"])
    assert total <= limits.max_trace_bytes
    assert [record for record in logged.records if is_reported(record)] == []


def is_reported(record):
    """Return whether something of ours was logged above DEBUG, but that a redactor failed."""
    return record.name == "runspan" and record.levelno > logging.DEBUG and "_checked failed" not in record.getMessage()
