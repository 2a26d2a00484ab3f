"""Ends spans in children, which then end without a flush; each process prints its spans.

Arguments: how multiprocessing starts the children; ``processes`` or ``pool``; where configure() is called, in the
``parent`` before, or in each ``child``.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from opentelemetry import trace

import runspan

CHILDREN = 4


def end_span(name):
    with trace.get_tracer("children").start_as_current_span(name) as span:
        context = span.get_span_context()
    line = f"span {os.getpid()} {name} {context.trace_id:032x} {context.span_id:016x}\n"
    os.write(1, line.encode())  # all at once: others write there, too


def run_processes(context, initializer):
    children = [context.Process(target=begin_and_end_span, args=(initializer,)) for _ in range(CHILDREN)]
    for child in children:
        child.start()
    for child in children:
        child.join()


def begin_and_end_span(initializer):
    if initializer is not None:
        initializer()
    end_span("child")


def run_pool(context, initializer):
    with ProcessPoolExecutor(CHILDREN, mp_context=context, initializer=initializer) as pool:
        list(pool.map(end_span, ["child"] * CHILDREN * 5))


if __name__ == "__main__":
    method, way, where = sys.argv[1:]
    if where == "parent":
        runspan.configure()
        end_span("parent")
    run = {"processes": run_processes, "pool": run_pool}[way]
    run(multiprocessing.get_context(method), runspan.configure if where == "child" else None)
