"""A provider that calls its span processors in threads, whose context is not that of the code that starts a span."""

import pytest
from langchain_core.tools import tool
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runspan import CallbackSpanProcessor, OneCallSpanProcessor, OpenTelemetryCallbackHandler
from tests.fakes import SyncModel
from tests.recorders import Driven, Processor
from tests.tracing import Tracing

CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt"}


@pytest.fixture(params=[SynchronousMultiSpanProcessor, ConcurrentMultiSpanProcessor])
def concurrent(request):
    """Trace on a provider that calls its processors in one of the SDK's two ways."""
    tracing = Tracing()
    tracing.exporter = InMemorySpanExporter()
    tracing.provider = TracerProvider(active_span_processor=request.param(), shutdown_on_exit=False)
    tracing.provider.add_span_processor(OneCallSpanProcessor(SimpleSpanProcessor(tracing.exporter)))
    tracing.tracer = tracing.provider.get_tracer("sdk")
    yield tracing
    tracing.provider.shutdown()


def calling_model(tracing):
    """Make a model whose SDK makes a span for each call and one for its request."""

    def call():
        with tracing.tracer.start_as_current_span("chat gpt", attributes=CALL) as span:
            span.set_attribute("gen_ai.usage.input_tokens", 5)
            tracing.mark("POST")

    return SyncModel(before=call)


def test_one_call_is_heard_and_counted_once(concurrent):
    """Listeners of the invocation hear its spans and none after it; a call is told once and has its usage once."""
    on_provider, brought, heard = Driven(), Driven(), Processor()
    concurrent.provider.add_span_processor(CallbackSpanProcessor([on_provider]))
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=concurrent.provider, span_processors=[heard], callbacks=[brought]
    )
    calling_model(concurrent).invoke("question", {"callbacks": [handler]})
    concurrent.mark("after")
    assert heard.ended == ["POST", "chat gpt", "chat"]
    assert on_provider.events == brought.events == ["on_chat_model_start", "on_llm_end"]
    assert concurrent.trace.tree() == "chat\n  chat gpt\n    POST\nafter"
    used = [span.name for span in concurrent.spans if "gen_ai.usage.input_tokens" in span.attributes]
    assert used == ["chat"]


def test_a_call_within_a_tool_is_told_below_it(concurrent):
    """A call of a model that a tool makes by an SDK is one of its own, below the tool."""
    brought = Driven()
    handler = OpenTelemetryCallbackHandler(tracer_provider=concurrent.provider, callbacks=[brought])

    @tool
    def asks(x: int) -> str:
        """Ask a model by its SDK."""
        with concurrent.tracer.start_as_current_span("chat gpt", attributes=CALL):
            return "answer"

    asks.invoke({"x": 1}, {"callbacks": [handler]})
    events = [(each.event, each.kwargs["parent_run_id"]) for each in brought.heard]
    run_id = brought.heard[0].kwargs["run_id"]
    assert events == [
        ("on_tool_start", None),
        ("on_chat_model_start", run_id),
        ("on_llm_end", run_id),
        ("on_tool_end", None),
    ]
