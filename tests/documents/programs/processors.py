"""docs/processors.md: both on one provider, the first to a receiver of its own."""

from langchain_core.runnables import RunnableLambda
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: F401  for the page

import runspan
from tests.documents.code_blocks import run_blocks

provider, exporter = TracerProvider(), OTLPSpanExporter()
run_blocks("docs/processors.md", globals(), **{"share=0.05": "share=1.0"})
config = {"callbacks": [runspan.OpenTelemetryCallbackHandler(tracer_provider=provider)]}
with provider.get_tracer("web").start_as_current_span("GET /"):
    RunnableLambda(len, name="answer").invoke("the question", config)
provider.shutdown()
