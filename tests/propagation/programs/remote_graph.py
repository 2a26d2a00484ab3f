"""Calls a graph on a server within a run, by LangGraph's own client."""

import sys

from langgraph.pregel.remote import RemoteGraph
from shared import chain, handle

import runspan

graph = RemoteGraph("graph", url=sys.argv[1])
answer = chain("asking", lambda _: graph.invoke({}, headers=runspan.inject({}))).invoke(1)
assert answer == {"answer": 42}, answer
handle.shutdown()
