"""A pool of processes that is terminated, as at the end of each ``with Pool()`` block."""

import multiprocessing
import os

from opentelemetry import trace

from runspan import configure

METHOD, WHERE = os.environ["METHOD"], os.environ["CONFIGURE"]


def work(number):
    """End a span."""
    trace.get_tracer("host").start_span("run").end()


if __name__ == "__main__":
    if WHERE == "parent":
        configure()
    with multiprocessing.get_context(METHOD).Pool(2, initializer=configure if WHERE == "child" else None) as pool:
        pool.map(work, range(5), chunksize=1)
        children = multiprocessing.active_children()
    print([child.exitcode for child in children], flush=True)
