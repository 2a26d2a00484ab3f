"""A task of Celery's that runs a chain below the run that asked for it."""

import os
from pathlib import Path

from celery import Celery
from shared import chain

import runspan

FOLDER = Path(os.environ["FOLDER"])
app = Celery("celery_app", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": FOLDER,
        "data_folder_out": FOLDER,
        "control_folder": FOLDER / "control",
    },
    task_ignore_result=True,
)


@app.task(bind=True)
def answer(self, number):
    """Run the chain."""
    with runspan.extract(self.request.headers):
        chain("worked").invoke(number)
