"""Celery's tasks: each is a span and leaves a file, ``slow`` a second before it ends."""

import os
import time
from pathlib import Path

from celery import Celery
from celery.signals import worker_process_init
from opentelemetry import trace

from runspan import configure

FOLDER = Path(os.environ["FOLDER"])

app = Celery("tasks", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": FOLDER,
        "data_folder_out": FOLDER,
        "control_folder": FOLDER / "control",
    },
    task_ignore_result=True,
)

if os.environ["CONFIGURE"] == "import":
    configure()
else:

    @worker_process_init.connect(weak=False)
    def set_up(**_):
        """Configure each child of the pool."""
        configure()


@app.task
def run(number):
    """End a span."""
    with trace.get_tracer("host").start_as_current_span("run"):
        pass
    (FOLDER / f"ended-{number}").touch()


@app.task
def slow():
    """Run while the worker is asked to end."""
    with trace.get_tracer("host").start_as_current_span("slow"):
        (FOLDER / "begun").touch()
        time.sleep(1)
