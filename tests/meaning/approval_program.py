"""A graph that asks its user, in one process, and goes on in another."""

import sys

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

import runspan


def ask(state):
    interrupt("sure?")
    return {}


def main(step, path, endpoint):
    """Ask, or answer."""
    with (
        runspan.configure(service_name="approval", endpoint=endpoint),
        SqliteSaver.from_conn_string(path) as saver,
    ):
        builder = StateGraph(MessagesState)
        builder.add_node("ask", ask)
        builder.add_edge(START, "ask")
        builder.add_edge("ask", END)
        graph = builder.compile(checkpointer=runspan.link_resumes(saver), name="approval")
        config = {"callbacks": [runspan.OpenTelemetryCallbackHandler()], "configurable": {"thread_id": "t1"}}
        graph.invoke({"messages": []} if step == "ask" else Command(resume="yes"), config)


if __name__ == "__main__":
    main(*sys.argv[1:])
