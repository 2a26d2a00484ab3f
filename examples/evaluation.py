"""A run is judged in another process, by the ``traceparent`` that was kept with its answer.

pip install runspan
python examples/evaluation.py ask          # prints the traceparent
python examples/evaluation.py TRACEPARENT up "Just what I asked for."
"""

import sys
from uuid import uuid4

from langchain_core.runnables import RunnableLambda

import runspan


def ask() -> None:
    """Answer a question; keep the traceparent with the answer."""
    handler, run_id = runspan.OpenTelemetryCallbackHandler(), uuid4()
    RunnableLambda(lambda _: "42", name="answer").invoke(
        "What is six times seven?", {"callbacks": [handler], "run_id": run_id}
    )
    print(handler.traceparent_for(run_id))


def judge(traceparent: str, label: str, explanation: str) -> None:
    """Record what the user says; as a span, too, for backends that take no logs."""
    value = 1 if label == "up" else 0
    runspan.record_evaluation(traceparent, "thumbs", value=value, label=label, explanation=explanation, as_span=True)


def main(*arguments: str) -> None:
    """Ask or judge."""
    with runspan.configure(service_name="evaluation"):
        if arguments == ("ask",):
            ask()
        else:
            judge(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
