"""docs/processes.md."""

from langchain_core.runnables import RunnableLambda

import runspan
from tests.documents.code_blocks import run_blocks

with runspan.configure():
    chain, question = RunnableLambda(len, name="answer"), "the question"
    handler, carrier = runspan.OpenTelemetryCallbackHandler(), {}
    run_blocks("docs/processes.md", globals())
