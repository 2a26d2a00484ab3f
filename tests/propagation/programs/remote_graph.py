"""Calls a graph on a server within a run, by LangGraph's own client."""

import sys

from langgraph.pregel.remote import RemoteGraph
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from shared import chain, handle

import runspan

if sys.argv[2] == "instrumented":
    HTTPXClientInstrumentor().instrument()
    headers = dict
else:

    def headers():
        """Return the headers of this moment."""
        return runspan.inject({})


graph = RemoteGraph("graph", url=sys.argv[1])
answer = chain("asking", lambda _: graph.invoke({}, headers=headers())).invoke(1)
assert answer == {"answer": 42}, answer
handle.shutdown()
