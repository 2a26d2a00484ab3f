"""Asks a worker within a run."""

from celery_app import answer
from shared import chain, handle

import runspan

chain("asking", lambda n: answer.apply_async((n,), headers=runspan.inject({})) and None).invoke(1)
handle.shutdown()
