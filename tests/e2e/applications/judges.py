"""Runs a chain and prints its traceparent; given one as an argument, judges it instead."""

import sys
import uuid

from langchain_core.runnables import RunnableLambda

import runspan

with runspan.configure(service_name="judges"):
    if len(sys.argv) > 1:
        runspan.record_evaluation(sys.argv[1], "relevance", value=0.5, label="fair", as_span=True)
    else:
        handler, run_id = runspan.OpenTelemetryCallbackHandler(), uuid.uuid4()
        RunnableLambda(lambda x: x, name="judged").invoke("x", {"callbacks": [handler], "run_id": run_id})
        print(handler.traceparent_for(run_id))
