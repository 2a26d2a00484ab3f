"""A graph that waits for its user, and goes on in another process: the second trace links to the first.

pip install 'runspan[langgraph]' langgraph-checkpoint-sqlite
python examples/approval.py ask order.db
python examples/approval.py yes order.db
"""

import sys
from typing import Literal, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

import runspan


class Order(TypedDict, total=False):
    """What is ordered, and what became of it."""

    item: str
    answer: str


def approve(order: Order) -> Order:
    """Wait for the user."""
    return {"answer": interrupt(f"Order {order['item']}?")}


def main(what: str, path: str) -> None:
    """Ask whether to order, or go on with the answer."""
    builder = StateGraph(Order)
    builder.add_node("approve", approve)
    builder.add_edge(START, "approve")
    with runspan.configure(service_name="approval", console=True), SqliteSaver.from_conn_string(path) as saver:
        graph = builder.compile(name="order", checkpointer=runspan.link_resumes(saver))
        config = {"callbacks": [runspan.OpenTelemetryCallbackHandler()], "configurable": {"thread_id": "1"}}
        given: Order | Command[Literal["approve"]] = {"item": "a hat"} if what == "ask" else Command(resume=what)
        state = graph.invoke(given, config)
        print(state.get("answer") or state["__interrupt__"][0].value)


if __name__ == "__main__":
    main(*sys.argv[1:])
