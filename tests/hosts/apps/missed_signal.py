"""A child whose main thread waits for a semaphore and isn't woken by SIGTERM, for another thread was given it."""

import multiprocessing
import os
import signal
import threading
import time

from opentelemetry import trace

from runspan import configure

METHOD, WHERE = os.environ["METHOD"], os.environ["CONFIGURE"]


def signal_this_thread():
    """Have the C handler run here, while the main thread waits."""
    time.sleep(0.5)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


def work():
    """End a span and wait for ever."""
    if WHERE == "child":
        configure()
    trace.get_tracer("host").start_span("run").end()
    threading.Thread(target=signal_this_thread, daemon=True).start()
    never = multiprocessing.Lock()
    never.acquire()
    never.acquire()


if __name__ == "__main__":
    if WHERE == "parent":
        configure()
    child = multiprocessing.get_context(METHOD).Process(target=work)
    child.start()
    child.join()
    print(child.exitcode, flush=True)
