"""What an invocation costs with runspan, beside bare spans and the published peers: ``make bench``.

Each subject has a process, each peer an environment of its own. Every round asks all subjects for one workload, in
another order, and takes the fastest of some hundred invocations, so a ratio within a round holds on a machine that does
other things as well. A table cell is the median over rounds of what an invocation costs above the empty handler, in
microseconds, with half the distance of its quartiles. Tables and picture go into ``benchmarks/README.md``.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import textwrap
import time
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.subjects import SUBJECTS
from benchmarks.workloads import BESIDE, workloads

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".cache" / "bench"
PEERS = [name for name, (packages, _) in SUBJECTS.items() if packages]
ALL_AT_ONCE = "10,000 ainvoke at once"
ROUNDS_AT_ONCE = 3  # of four minutes each
SINK = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-common")
SECONDS = 0.4
IMPORTS = 10
ROUNDS_BESIDE = 7
RUNS = 100_000
PACKAGES = ("langchain-core", "langgraph", "opentelemetry-sdk", *(SUBJECTS[name][0] for name in PEERS))


def say(text: str) -> None:
    """Show what goes on."""
    print(text, file=sys.stderr, flush=True)


def python_of(subject: str) -> str:
    """Return the Python of a subject's environment, made if need be, with the LangChain of this one."""
    packages, _ = SUBJECTS[subject]
    if not packages:
        return sys.executable
    folder = ENVIRONMENTS / packages
    python = str(folder / "bin" / "python")
    if not (folder / "ready").exists():
        say(f"Installing {packages} ...")
        venv.create(folder, with_pip=True, clear=True)
        own = [f"{name}=={version(sys.executable, name)}" for name in ("langchain", "langchain-core", "langgraph")]

        subprocess.run([python, "-m", "pip", "install", "-q", packages, *SINK, *own], check=True)
        (folder / "ready").touch()
    return python


def version(python: str, package: str) -> str:
    """Return the version of a package in an environment."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


class Worker:
    """The process of a subject."""

    def __init__(self, subject: str) -> None:
        self.process = subprocess.Popen(
            [python_of(subject), "-m", "benchmarks.worker", subject],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **question: Any) -> Any:
        """Ask for something, and return the answer.

        Raises:
            RuntimeError: if the process has ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended; run it by hand with {question} as its input.")
        return json.loads(line)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def measure(workers: dict[str, Worker], workload: str, rounds: int) -> dict[str, list[float]]:
    """Return, for each subject, the cost of an invocation above the empty handler, round by round."""
    above: dict[str, list[float]] = {name: [] for name in workers}
    order = list(workers)
    for _ in range(rounds):
        random.shuffle(order)
        cost = {}
        for name in order:
            cost[name] = min(workers[name].ask(workload=workload, seconds=SECONDS))
        for name in order:
            above[name].append(cost[name] - (cost["empty handler"] if name != "empty handler" else 0))
    return above


def measured_subjects(workload: str) -> list[str]:
    """Return the subjects of a workload: bare spans can't be prepared for invocations that overlap."""
    return [name for name in SUBJECTS if not (name == "floor" and "at once" in workload)]


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [[each.replace("|", "\\|") for each in head], ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cell(costs: list[float] | None) -> str:
    """Show a median and its spread."""
    if not costs:
        return "-"
    quartiles = statistics.quantiles(costs, n=4) if len(costs) > 1 else [costs[0]] * 3
    return f"{statistics.median(costs):,.0f} ± {(quartiles[2] - quartiles[0]) / 2:,.0f}"


def ratio(costs: dict[str, list[float]], subject: str, others: Sequence[str]) -> str:
    """Show the median, over rounds, of a subject's cost by that of the cheapest of others."""
    cheapest = min(others, key=lambda name: statistics.median(costs[name]))
    by_round = [mine / theirs for mine, theirs in zip(costs[subject], costs[cheapest], strict=True) if theirs > 0]
    return f"{statistics.median(by_round):.2f}" if by_round else "-"


def whole(counted: dict[str, tuple[int, int]]) -> list[str]:
    """Return the peers that record a span for each that runspan does: who leaves some out is quick."""
    return [name for name in PEERS if counted[name][0] >= counted["runspan"][0]]


def imports() -> tuple[float, float]:
    """Return the milliseconds that runspan and a handler take, and those of the LangChain that they need."""
    show = "; import sys; print(*[m for m in sys.modules if m.split('.')[0] in ('langchain_core', 'langsmith')])"
    runspan = "import runspan; runspan.OpenTelemetryCallbackHandler()"
    # Bytecode is kept, as it is of what pip installs; the first process writes it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def printed(code: str) -> list[str]:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split()

    timed = [
        "import gc, time; begun = time.perf_counter()",
        *(f"import {name}" for name in printed(runspan + show)),
        "langchain = time.perf_counter() - begun",
        "gc.collect()  # a full one looks through all of LangChain; whether it comes by itself is chance",
        f"begun = time.perf_counter(); {runspan}",
        "print(time.perf_counter() - begun, langchain)",
    ]
    took = [[float(seconds) * 1000 for seconds in printed("\n".join(timed))] for _ in range(IMPORTS)]
    return min(own for own, _ in took), min(langchain for _, langchain in took)


def picture(costs: dict[str, dict[str, list[float]]]) -> None:
    """Draw the cost of each peer and of runspan by the cost of runspan."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "runspan"
    from matplotlib import pyplot as plt

    shown = ["runspan", *PEERS]
    figure, axes = plt.subplots(figsize=(9, 0.75 * len(costs) + 1))
    for number, name in enumerate(shown):
        values = [statistics.median(by[name]) / statistics.median(by["runspan"]) for by in costs.values()]
        axes.barh([row + (number - 2) * 0.16 for row in range(len(costs))], values, 0.15, label=name)
    axes.set_yticks(range(len(costs)), list(costs))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("cost of an invocation above an empty handler, runspan = 1")
    axes.legend()
    figure.tight_layout()
    figure.savefig(ROOT / "benchmarks" / "costs.svg", metadata={"Date": None})


def report(
    costs: dict[str, dict[str, list[float]]], counts: dict[str, dict[str, tuple[int, int]]], rest: Sequence[str]
) -> str:
    """Return the text of the README."""
    about = {name: version(python_of(subject), name) for name, subject in _where().items()}
    head = ["µs an invocation", *costs]
    above = ([name, *(cell(by.get(name)) for by in costs.values())] for name in SUBJECTS if name != "no callbacks")
    recorded = (
        [name, *(f"{spans:,}; {size:,}" for spans, size in (by.get(name, (0, 0)) for by in counts.values()))]
        for name in SUBJECTS
        if name not in ("no callbacks", "empty handler")
    )
    ratios = [
        [
            "runspan by the fastest peer that records as many spans",
            *(ratio(by, "runspan", whole(counts[name])) for name, by in costs.items()),
        ],
        [
            "runspan, content off, by the floor",
            *(ratio(by, "runspan, content off", ["floor"]) if "floor" in by else "-" for by in costs.values()),
        ],
    ]
    measured = (
        f"Measured {time.strftime('%Y-%m-%d')} on {platform.machine()}, Python {platform.python_version()}, with "
        + ", ".join(f"{name} {number}" for name, number in about.items())
        + ". The row of the empty handler is what an invocation takes in all."
    )
    parts = [
        "# What an invocation costs",
        (__doc__ or "").strip().partition("\n\n")[2],
        textwrap.fill(measured, 120, break_on_hyphens=False),
        table(head, above),
        table(["ratio", *costs], iter(ratios)),
        "![what each costs, runspan = 1](costs.svg)",
        "What each subject records of one call: spans; bytes in OTLP.",
        table(["spans; bytes", *counts], recorded),
        "\n".join(rest),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _where() -> dict[str, str]:
    own = ["langchain-core", "langgraph", "opentelemetry-sdk"]
    return {**dict.fromkeys(own, "runspan"), **{SUBJECTS[name][0]: name for name in PEERS}}


def above_empty(workers: dict[str, Worker], workload: str, subject: str = "runspan") -> float:
    """Return the microseconds of an invocation above the empty handler, the median of some rounds."""
    chosen = {name: workers[name] for name in ("empty handler", subject)}
    return statistics.median(measure(chosen, workload, ROUNDS_BESIDE)[subject])


def others(workers: dict[str, Worker]) -> Iterator[str]:
    """Measure what is no cost of an invocation, or what one consists of."""
    say("Importing ...")
    own, langchain = imports()
    yield f"- `import runspan` and a handler: {own:.0f} ms, above {langchain:.0f} ms of LangChain's modules."
    say("Memory ...")
    open_bytes, left = workers["runspan"].ask(memory=True)
    span_bytes = workers["runspan"].ask(span=True)
    off_bytes, _ = workers["runspan, content off"].ask(memory=True)
    yield (
        f"- An open run takes {open_bytes:,.0f} bytes with its span, {off_bytes:,.0f} with content off; a bare span"
        f" takes {span_bytes:,.0f}. 10,000 invocations leave {left:,.0f} bytes."
    )
    say(f"{RUNS:,} runs ...")
    first, last = workers["runspan"].ask(age=RUNS)
    yield f"- An invocation after {RUNS:,} runs takes {last / first:.2f} of what it took at first."
    say("Chunks ...")
    chunk = (above_empty(workers, "stream of 200 chunks") - above_empty(workers, "stream of 1 chunk")) / 199
    yield f"- A chunk of a stream: {chunk:.2f} µs."
    say("Histories ...")
    grown = {size: above_empty(workers, f"{size}-message history") for size in ("10", "100", "1,000")}
    yield "- A history of " + ", ".join(f"{size} messages: {cost:,.0f} µs" for size, cost in grown.items()) + "."
    say("Current span ...")
    plain, *depths = workers["runspan"].ask(current=True)
    shown = ", ".join(f"{cost / plain:.1f} times that {depth} calls below a model" for depth, cost in depths)
    yield f"- `get_current_span().get_span_context()`: {plain:.2f} µs outside of runs, {shown}."


def main() -> None:
    """Measure, and write the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--workloads", nargs="*", default=[name for name in workloads() if name not in BESIDE])
    chosen = parser.parse_args()
    workers = {name: Worker(name) for name in SUBJECTS}
    costs, counts = {}, {}
    try:
        for name in chosen.workloads:
            say(f"{name} ...")
            subjects = {each: workers[each] for each in measured_subjects(name)}
            counts[name] = {each: worker.ask(workload=name, count=True) for each, worker in subjects.items()}
            rounds = min(chosen.rounds, ROUNDS_AT_ONCE) if name == ALL_AT_ONCE else chosen.rounds
            costs[name] = measure(subjects, name, rounds)
            say("  " + ", ".join(f"{each} {cell(values)}" for each, values in costs[name].items()))
        text = report(costs, counts, [*others(workers)])
    finally:
        for worker in workers.values():
            worker.end()
    picture(costs)
    (ROOT / "benchmarks" / "README.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
