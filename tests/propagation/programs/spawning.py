"""Gives work to other processes of multiprocessing: one that is forked, one that is spawned."""

import multiprocessing

from shared import chain, handle

import runspan


def work(method, headers):
    """Run a chain below the run that gave the work."""
    with runspan.extract(headers):
        chain(method).invoke(1)


def start(method):
    """Start a process within a run."""
    headers = runspan.inject({}) if method == "spawn" else None  # a forked child has the context
    process = multiprocessing.get_context(method).Process(target=work, args=(method, headers))
    process.start()
    process.join(100)
    assert process.exitcode == 0


if __name__ == "__main__":
    for method in ("spawn", "fork"):
        chain("asking", start).invoke(method)
    handle.shutdown()
