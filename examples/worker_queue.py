"""A run asks a Celery worker, whose runs go on with the trace.

    pip install runspan celery
    celery --workdir examples --app worker_queue worker --concurrency 2
    python examples/worker_queue.py "What is six times seven?"

Here the queue is the folder QUEUE_FOLDER; with Redis or RabbitMQ nothing else changes.
"""

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery, Task
from langchain_core.runnables import RunnableLambda

import runspan

FOLDER = Path(os.environ.get("QUEUE_FOLDER", "queue"))
FOLDER.joinpath("control").mkdir(parents=True, exist_ok=True)

app = Celery("worker_queue", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": FOLDER,
        "data_folder_out": FOLDER,
        "control_folder": FOLDER / "control",
    },
    task_ignore_result=True,
)

runspan.configure(service_name="worker-queue")
config: Any = {"callbacks": [runspan.OpenTelemetryCallbackHandler()]}


@app.task(bind=True)
def answer(task: "Task[Any, Any]", question: str) -> None:
    """Answer below the run that asked."""
    with runspan.extract(task.request.headers):
        RunnableLambda(lambda _: "42", name="answer").invoke(question, config)


def ask(question: str) -> None:
    """Put the question into the queue, with the headers of this run."""
    answer.apply_async((question,), headers=runspan.inject({}))


if __name__ == "__main__":
    RunnableLambda(ask, name="ask").invoke(sys.argv[1], config)
