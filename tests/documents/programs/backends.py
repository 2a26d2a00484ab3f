"""docs/backends.md."""

import os

from langchain_core.runnables import RunnableLambda
from opentelemetry.trace import get_tracer_provider

import runspan
from tests.documents.code_blocks import run_blocks

endpoint, headers = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], {}
run_blocks("docs/backends.md", globals())
get_tracer_provider().add_span_processor(globals()["processor"])
RunnableLambda(len, name="answer").invoke("the question", {"callbacks": [runspan.OpenTelemetryCallbackHandler()]})
