"""docs/viewer.md: what is written into a file can be read."""

from pathlib import Path

from langchain_core.runnables import RunnableLambda

import runspan
from tests.documents.code_blocks import run_blocks

run_blocks("docs/viewer.md", globals())
RunnableLambda(len, name="answer").invoke("the question", {"callbacks": [runspan.OpenTelemetryCallbackHandler()]})
assert '"answer"' in Path("trace.jsonl").read_text()
