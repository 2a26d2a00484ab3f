"""docs/delivery.md: each set-up by itself."""

import os
from pathlib import Path

from langchain_core.runnables import RunnableLambda

import runspan
from tests.documents.code_blocks import code_blocks

ENDPOINT, FOLDER = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], Path.cwd() / "spans"
CONFIG = {"callbacks": [runspan.OpenTelemetryCallbackHandler()]}


def configured(**arguments):
    """Trace a run with what is set up."""
    handle = real(**arguments)
    RunnableLambda(len, name="answer").invoke("the question", CONFIG)
    assert handle.shutdown()
    return handle


real, runspan.configure = runspan.configure, configured
for block in code_blocks(
    "docs/delivery.md", **{"https://otlp.example.com": ENDPOINT, "/var/lib/shop/spans": str(FOLDER)}
):
    exec(block, {"runspan": runspan, "key": "secret"})
assert FOLDER.is_dir()
