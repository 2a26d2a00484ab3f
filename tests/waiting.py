"""Waiting for what other threads do."""

import gc
import time


def wait_until(condition, seconds=10):
    """Poll a condition that another thread makes true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.001)


def collect_until(condition):
    """Collect garbage until all is gone that the condition asks for.

    ``gc.collect`` does nothing while another thread is in the middle of a collection.
    """

    def collected():
        gc.collect()
        return condition()

    wait_until(collected, seconds=5)
