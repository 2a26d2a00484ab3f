"""The seed program as a process: what it prints, and what a real OTLP receiver gets."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.otlp_receivers import GrpcReceiver, HttpReceiver

EXAMPLE = Path(__file__).parent.parent / "examples" / "callbacks_at_runtime.py"
QUESTION = '[{"role":"user","parts":[{"type":"text","content":"What is 1 + 2?"}]}]'
ANSWER = '[{"role":"assistant","parts":[{"type":"text","content":"1 + 2 = 3"}],"finish_reason":"end_turn"}]'
FIRST_ID = "msg_000000000000000000000001"


def run_example(way, **environment):
    """Run the example and return what it printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ANTHROPIC_"))}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), way],
        env=plain | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def tree(spans):
    """Return the names of spans, nested."""
    children = {}
    for span in spans:
        children.setdefault(span["parent_span_id"], []).append(span)

    def below(parent):
        return {span["name"]: below(span["span_id"]) for span in children.get(parent, [])}

    return below("")


@pytest.mark.parametrize(
    ("way", "receiver"),
    [("invoke", HttpReceiver), ("stream", GrpcReceiver), ("ainvoke", GrpcReceiver), ("astream", HttpReceiver)],
)
def test_the_trace_that_a_backend_gets(way, receiver):
    """Whatever way it is called, the chain's trace is whole: the SDK's span below the chat, its request below that."""
    protocol = "grpc" if receiver is GrpcReceiver else "http/protobuf"
    with receiver() as backend:
        done = run_example(way, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        spans = backend.received()

    assert tree(spans) == {
        "RunnableSequence": {
            "ChatPromptTemplate": {},
            "chat claude-3-sonnet-20240229": {"anthropic.messages.create": {"POST": {}}},
        }
    }
    assert len({span["trace_id"] for span in spans}) == 1
    chat = next(span for span in spans if span["name"].startswith("chat "))
    assert chat["kind"] == "CLIENT"
    assert chat["scope"][0] == "runspan"
    assert chat["resource"]["service.name"] == "runspan-demo"
    streamed = chat["attributes"].pop("gen_ai.response.time_to_first_chunk", None)
    assert (streamed is not None) is ("stream" in way)
    assert {name: value for name, value in chat["attributes"].items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-3-sonnet-20240229",
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.prompt.variable.number": "2",
        "gen_ai.response.model": "claude-3-sonnet-20240229",
        "gen_ai.response.finish_reasons": ["end_turn"],
        "gen_ai.usage.input_tokens": 16,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.input.messages": QUESTION,
        "gen_ai.output.messages": ANSWER,
        # Of a streamed answer langchain-anthropic does not keep the id; it is from the SDK's span.
        "gen_ai.response.id": FIRST_ID,
        **({"gen_ai.request.stream": True} if "stream" in way else {}),
    }
    assert f"trace {chat['trace_id']}" in done.stdout
    assert sum(span["attributes"].get("gen_ai.usage.output_tokens", 0) for span in spans) == 9
    assert sum("gen_ai.operation.name" in span["attributes"] for span in spans) == 1
    sdk = next(span for span in spans if span["name"] == "anthropic.messages.create")
    assert {name for name in sdk["attributes"] if name.startswith(("gen_ai.", "anthropic."))} == {
        "anthropic.message.stop_reason",
        "anthropic.organization.id",
        "anthropic.request.id",
        "anthropic.response.service_tier",
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    }
    assert sdk["attributes"]["http.response.status_code"] == 200
    assert chat["attributes"]["anthropic.response.service_tier"] == "standard"


def test_what_the_terminal_shows():
    """The user's handler prints what it prints when LangChain drives it; then comes the trace as a tree."""
    done = run_example("invoke")
    lines = done.stdout.splitlines()
    assert [line[:36] for line in lines[:6]] == [
        "Chain RunnableSequence started",
        "Chain ChatPromptTemplate started",
        "Chain ended, outputs: messages=[Huma",
        "Chat model started",
        "Chat model ended, response: generati",
        "Chain ended, outputs: content='1 + 2",
    ]
    shown = [re.sub(r"[\d.]+ m?s\b", "N ms", line) for line in lines[7:]]
    assert shown == [
        "RunnableSequence  N ms",
        "├─ ChatPromptTemplate  N ms",
        "└─ chat claude-3-sonnet-20240229  N ms  16 in, 9 out",
        "   └─ anthropic.messages.create  N ms",
        "      └─ POST  N ms",
    ]
    assert re.fullmatch(r"trace [0-9a-f]{32}", lines[6])
    assert done.stderr == ""


def test_an_endpoint_that_is_not_there():
    """The example runs as ever; one line says which address does not answer."""
    done = run_example("invoke", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert "└─ chat claude-3-sonnet-20240229" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("could not deliver 5 spans to http://127.0.0.1:9/v1/traces: ")
