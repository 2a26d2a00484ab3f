"""A process that measures one subject: reads a question of JSON a line, writes the answer as a line.

``{"workload": NAME, "seconds": S}`` is answered by the microseconds of each invocation; with ``"count": true`` by the
spans and bytes of one; ``{"memory": true}`` by the bytes of an open run and those left of 10,000 that have ended;
``{"age": N}`` by the microseconds of an invocation at first, and after N runs; ``{"span": true}`` by the bytes of a
bare span; ``{"current": true}`` by the microseconds of asking for the current span's ids outside of runs, then by pairs
of how many calls below a model's own and what it takes there.
"""

import gc
import json
import statistics
import sys
import time
import timeit
import tracemalloc
from typing import Any
from uuid import uuid4

from langchain_core.outputs import ChatResult
from opentelemetry import trace

from benchmarks.subjects import SUBJECTS, Floor, provider, runspan_handler, sink
from benchmarks.workloads import Model, Workload, workloads


def times(workload: Workload, config: dict[str, Any], seconds: float) -> list[float]:
    """Return the microseconds of each invocation, at least one, of calls during some seconds."""
    # A full collection looks through all that LangChain's modules hold, and takes as long as 200 invocations; which of
    # them has one is chance. What is there already is left out.
    gc.collect()
    gc.freeze()
    measured: list[float] = []
    until = time.perf_counter() + seconds
    while not measured or time.perf_counter() < until:
        begun = time.perf_counter()
        workload.invoke(config)
        measured.append((time.perf_counter() - begun) * 1e6 / workload.at_once)
    return measured


def count(workload: Workload, config: dict[str, Any]) -> tuple[int, int]:
    """Return how many spans and bytes one call makes."""
    sink.kept = []
    workload.invoke(config)
    for callback in config.get("callbacks", ()):
        if hasattr(callback, "force_flush"):
            callback.force_flush()
    if "langfuse" in sys.modules:  # its own flush waits for the uploads of all images that there have been
        trace.get_tracer_provider().force_flush()
    counted = len(sink.kept), sink.bytes()
    sink.kept = None
    return counted


def prepare(floor: Floor, workload: Workload) -> None:
    """Give the floor the spans that runspan makes of a workload, in the order of their starts."""
    sink.kept = []
    workload.invoke({"callbacks": runspan_handler()})
    floor.prepared = sorted(sink.kept, key=lambda span: span.start_time or 0)
    sink.kept = None


def memory(callbacks: list[Any]) -> tuple[float, float]:
    """Return the bytes of an open run, by 1,000 that are opened by hand, and how many are left of 10,000 that ended."""
    chain = workloads()["prompt | model"]
    (handler,) = callbacks
    tracemalloc.start()
    for _ in range(2000):  # what is remembered by number fills up
        chain.invoke({"callbacks": callbacks})
    opened = [uuid4() for _ in range(1000)]
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    for run_id in opened:
        handler.on_chain_start({}, {}, run_id=run_id, name="open")
    gc.collect()
    open_bytes = (tracemalloc.get_traced_memory()[0] - before) / len(opened)
    for run_id in opened:
        handler.on_chain_end({}, run_id=run_id)
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(10_000):
        chain.invoke({"callbacks": callbacks})
    gc.collect()
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return open_bytes, left


def age(callbacks: list[Any], runs: int) -> tuple[float, float]:
    """Return the microseconds of an invocation, the median of 2,000, at first and after so many runs."""
    chain, config = workloads()["prompt | model"], {"callbacks": callbacks}
    for _ in range(200):
        chain.invoke(config)

    def measured() -> float:
        return statistics.median(times(chain, config, 0)[0] for _ in range(2000))

    first = measured()
    for _ in range(runs // 3):
        chain.invoke(config)
    return first, measured()


def span_bytes() -> float:
    """Return the bytes of an open span of OpenTelemetry's, in a dictionary of such."""
    tracer = provider().get_tracer("bench")
    kept = {}
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(1000):
        kept[uuid4()] = tracer.start_span("open", attributes={"langchain.run.type": "chain"})
    took = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    tracemalloc.stop()
    return took


def current(callbacks: list[Any]) -> list[Any]:
    """Return what the current span's ids take outside of runs, and within a model at two depths of calls."""

    def measured() -> float:
        return min(timeit.repeat(lambda: trace.get_current_span().get_span_context(), number=1000, repeat=20)) * 1000

    def below(depth: int) -> float:
        return below(depth - 1) if depth else measured()

    class Asking(Model):
        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            found.extend((depth, below(depth)) for depth in (0, 400))
            return super()._generate([])

    found: list[tuple[int, float]] = []
    Asking().invoke("x", {"callbacks": callbacks})
    with provider().get_tracer("bench").start_as_current_span("outside"):
        return [measured(), *found]


def answer(question: dict[str, Any], callbacks: list[Any], made: dict[str, Workload]) -> Any:
    """Do what is asked."""
    if "memory" in question:
        return memory(callbacks)
    if "span" in question:
        return span_bytes()
    if "current" in question:
        return current(callbacks)
    if "age" in question:
        return age(callbacks, question["age"])
    workload = made[question["workload"]]
    if callbacks and isinstance(callbacks[0], Floor):
        prepare(callbacks[0], workload)
    config = {"callbacks": callbacks} if callbacks else {}
    return count(workload, config) if "count" in question else times(workload, config, question["seconds"])


def main() -> None:
    """Answer until there are no more questions."""
    callbacks, made = SUBJECTS[sys.argv[1]][1](), workloads()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), callbacks, made)), flush=True)


if __name__ == "__main__":
    main()
