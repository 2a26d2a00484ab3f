"""Other implementations of OpenTelemetry's context."""

import os

from tests.programs import run_python

# What Datadog's does: of a context it keeps the ids of its span, and nothing is detached.
IDS_ALONE = """
from contextvars import ContextVar

def trace():
    from opentelemetry import trace  # it imports what loads this

    return trace

class IdsAlone:
    def __init__(self):
        self.ids = ContextVar("ids", default=None)

    def attach(self, context):
        span = trace().get_current_span(context)
        if span is not trace().INVALID_SPAN:
            self.ids.set(span.get_span_context())
        return object()

    def get_current(self):
        from opentelemetry.context import Context

        ids = self.ids.get()
        if ids is None:
            return Context()
        return trace().set_span_in_context(trace().NonRecordingSpan(ids), Context())

    def detach(self, token):
        pass
"""
ENTRY_POINT = "[opentelemetry_context]\nids_alone = ids_alone:IdsAlone\n"


def test_one_that_keeps_the_ids_of_a_span_alone(tmp_path):
    """The tree of runs is whole, and none of them is current when it is over."""
    (tmp_path / "ids_alone.py").write_text(IDS_ALONE)
    metadata = tmp_path / "ids_alone-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ids-alone\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINT)
    ended = run_python(
        """
        import opentelemetry.context
        from langchain_core.language_models import FakeListChatModel
        from langchain_core.prompts import ChatPromptTemplate
        from runspan import OpenTelemetryCallbackHandler
        from runspan.testing import RecordedTrace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        config = {"callbacks": [OpenTelemetryCallbackHandler(tracer_provider=provider)]}
        chain = ChatPromptTemplate.from_template("{x}") | FakeListChatModel(responses=["hi"])
        chain.invoke({"x": "1"}, config)
        list(chain.stream({"x": "2"}, config))
        emit(type(opentelemetry.context._RUNTIME_CONTEXT).__name__)
        emit(trace.get_current_span().get_span_context().is_valid)
        emit(RecordedTrace(exporter.get_finished_spans()).tree())
        """,
        OTEL_PYTHON_CONTEXT="ids_alone",
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    tree = "RunnableSequence\n  ChatPromptTemplate\n  chat"
    assert ended.emitted == ["IdsAlone", False, f"{tree}\n{tree}"]
