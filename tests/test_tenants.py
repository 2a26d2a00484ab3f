"""Tenants: each invocation's spans go to the endpoint of its handler, and nowhere else."""

import asyncio
import os
import subprocess
import sys
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from langchain_core.runnables import RunnableLambda
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from runspan import OpenTelemetryCallbackHandler, OtlpSpanProcessor
from tests.fakes import Model, body
from tests.otlp_receivers import GrpcReceiver, HttpReceiver
from tests.waiting import collect_until

EXAMPLE = Path(__file__).parent.parent / "examples" / "tenants.py"


def run_example(*endpoints):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *endpoints], env=plain, capture_output=True, text=True, timeout=60, check=True
    )


def check_whole(spans, roots):
    """Check that parents are valid, within the same trace, and that there are so many traces."""
    ids = {span["span_id"]: span["trace_id"] for span in spans}
    for span in spans:
        assert span["parent_span_id"] == "" or ids[span["parent_span_id"]] == span["trace_id"]
    assert sum(span["parent_span_id"] == "" for span in spans) == len(set(ids.values())) == roots


def test_the_example_with_two_endpoints():
    """Of requests served at once, each tenant's endpoint gets its own traces, whole, with its own key."""
    with HttpReceiver() as acme, HttpReceiver() as globex:
        done = run_example(acme.endpoint, globex.endpoint)
        for tenant, receiver in (("acme", acme), ("globex", globex)):
            spans = receiver.received()
            check_whole(spans, roots=3)
            assert sorted(span["name"] for span in spans) == (
                ["ChatPromptTemplate"] * 3 + ["RunnableSequence"] * 3 + ["chat"] * 3
            )
            asked = [span["attributes"]["gen_ai.input.messages"] for span in spans if span["name"] == "chat"]
            assert all(f"{tenant} asks question" in each for each in asked)
            assert {headers["x-api-key"] for headers in receiver.headers} == {f"key-of-{tenant}"}
    assert done.stdout == "acme: delivered\nglobex: delivered\n"
    assert done.stderr == ""


def test_the_example_by_itself():
    """Without endpoints it shows what each tenant's receiver gets."""
    lines = run_example().stdout.splitlines()
    for tenant in ("acme", "globex"):
        own = [line for line in lines if line.startswith(f"{tenant} got, with key-of-{tenant}: ")]
        assert len(own) == 9
        assert sum(f"{tenant} asks question" in line for line in own) == 3
    assert len(lines) == 20


def exporting(kind, endpoint):
    """Make a processor of ours or of the SDK's that exports to an endpoint."""
    if kind == "the SDK's":
        return BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces"))
    return OtlpSpanProcessor(endpoint, protocol=kind)


@pytest.mark.parametrize("kind", ["http/protobuf", "grpc", "the SDK's"])
async def test_two_invocations_at_once(tracing, kind):
    """No span crosses, neither of LangChain's runs nor of HTTP calls within them, with whatever exporting processor."""
    receivers = [GrpcReceiver() if kind == "grpc" else HttpReceiver() for _ in range(2)]
    async with httpx2.AsyncClient() as client:
        HTTPX2ClientInstrumentor.instrument_client(client, tracer_provider=tracing.provider)
        with receivers[0], receivers[1]:
            handlers = [
                OpenTelemetryCallbackHandler(
                    tracer_provider=tracing.provider, span_processors=[exporting(kind, receiver.endpoint)]
                )
                for receiver in receivers
            ]

            async def fetch(given):
                with tracing.span(f"own {given}"), pytest.raises(httpx2.ConnectError):
                    await client.get(f"http://127.0.0.1:9/{given}")
                return given

            async def ask(number):
                chain = RunnableLambda(fetch) | body(tracing, f"work {number}") | Model(tracing=tracing)
                await chain.ainvoke(str(number), {"callbacks": [handlers[number]], "run_name": f"chain {number}"})

            await asyncio.gather(ask(0), ask(1), ask(0), ask(1))
            assert [await asyncio.to_thread(handler.shutdown) for handler in handlers] == [True, True]
            for number, receiver in enumerate(receivers):
                spans = receiver.received()
                check_whole(spans, roots=2)
                names = [f"chain {number}", "fetch", f"own {number}", "GET", f"work {number}", f"work {number} work"]
                assert sorted({span["name"] for span in spans}) == sorted([*names, "chat", "http"])
                assert len(spans) == 16


LEFT_OPEN = """
import sys
from langchain_core.language_models.fake_chat_models import ParrotFakeChatModel
from langchain_core.runnables import RunnableLambda
import runspan
processor = runspan.OtlpSpanProcessor(sys.argv[1])
handler = runspan.OpenTelemetryCallbackHandler(span_processors=[processor])
stream = (RunnableLambda(lambda x: x, name="first") | ParrotFakeChatModel()).stream("x", {"callbacks": [handler]})
next(stream)
"""


def test_the_end_of_a_process():
    """What is open when a process ends is ended and delivered, though nobody called configure or shutdown."""
    with HttpReceiver() as receiver:
        subprocess.run([sys.executable, "-c", LEFT_OPEN, receiver.endpoint], timeout=60, check=True)
        spans = receiver.received()
    check_whole(spans, roots=1)
    outcomes = {span["name"]: span["attributes"].get("langchain.run.outcome") for span in spans}
    assert outcomes["RunnableSequence"] == "abandoned"


def test_a_thousand_tenants(tracing):
    """A thousand tenants at work, each with a handler and an endpoint, need eight threads; gone, they leave nothing."""

    class Receiver(HttpReceiver):
        def _take(self, request, headers):
            for scope in request.resource_spans[0].scope_spans:
                self.by_tenant[headers["x-tenant"]] += len(scope.spans)

    with Receiver() as receiver:
        receiver.by_tenant = Counter()

        def make(number):
            processor = OtlpSpanProcessor(receiver.endpoint, headers={"x-tenant": str(number)})
            return OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, span_processors=[processor])

        body(tracing, "warm up").invoke("x", {"callbacks": [make("none")]})
        before = threading.active_count()
        handlers = [make(number) for number in range(1000)]
        for handler in handlers:
            body(tracing, "work").invoke("x", {"callbacks": [handler]})
        tracing.exporter.clear()
        assert threading.active_count() - before <= 8
        with ThreadPoolExecutor(20) as pool:
            assert all(pool.map(lambda handler: handler.force_flush(30), handlers))
        assert {receiver.by_tenant[str(number)] for number in range(1000)} == {2}
        kept = [weakref.ref(handler) for handler in handlers]
        del handler
        handlers.clear()
        collect_until(lambda: not any(each() for each in kept))


EXIT_PROGRAM = """
from langchain_core.runnables import RunnableGenerator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from runspan import OpenTelemetryCallbackHandler

def endless(_):
    while True:
        yield "x"

def as_line(span):
    return f"{span.name} {span.attributes['langchain.run.outcome']}\\n"

open_streams = []
for tenant in ("acme", "globex"):
    processor = SimpleSpanProcessor(ConsoleSpanExporter(formatter=as_line))
    provider = TracerProvider()
    provider.add_span_processor(processor)
    handler = OpenTelemetryCallbackHandler(span_processors=[processor], tracer_provider=provider)
    chain = RunnableGenerator(endless, name=tenant)
    open_streams.append(chain.stream("x", {"callbacks": [handler]}))
    next(open_streams[-1])
"""


def test_what_is_open_when_the_process_ends():
    """Each tenant's processor hears the end of what is open, though it was made after another tenant's handler."""
    done = subprocess.run([sys.executable, "-c", EXIT_PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert {"acme abandoned", "globex abandoned"} <= set(done.stdout.splitlines())
