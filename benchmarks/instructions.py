"""Count what an invocation makes the interpreter execute, and compare it with what is kept: ``make instructions``.

Counted are the bytecodes of runspan and of OpenTelemetry, which it calls; LangChain's own are not ours to change. A
count is the same on a loaded machine. It differs by the minor version of Python, so each has numbers of its own in
``instructions.json``. It says nothing of what C code does: for that there is ``make bench``.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, Final

from opentelemetry import trace

import runspan
from benchmarks.subjects import SUBJECTS
from benchmarks.workloads import workloads

KEPT: Final = Path(__file__).with_name("instructions.json")
WORKLOADS: Final = ("prompt | model", "100-message history", "stream of 200 chunks", "graph of 10 nodes")
COUNTED_SUBJECTS: Final = ("runspan", "runspan, content off", "runspan, sampled out")
# A fix may cost a little; more than this is looked at, and kept by intention.
MOST_ABOVE: Final = 0.03
_COUNTED: Final = (str(Path(runspan.__file__).parent), str(Path(trace.__file__).parents[1]))
_WARM_UP: Final = 20  # calls, by which caches are filled and classes made
_CALLS: Final = 3


def executed(call: Callable[[], object]) -> int:
    """Return how many bytecodes of runspan and OpenTelemetry a call executes in this thread."""
    # A trace function of Python 3.13.0 is not told of every opcode, and Python 3.11 has nothing else.
    return _monitored(call) if sys.version_info >= (3, 12) else _traced(call)


def _monitored(call: Callable[[], object]) -> int:
    count, thread, monitoring = 0, get_ident(), sys.monitoring

    def count_one(code: CodeType, _: int) -> Any:
        nonlocal count
        if not code.co_filename.startswith(_COUNTED):
            return monitoring.DISABLE
        count += get_ident() == thread
        return None

    monitoring.use_tool_id(monitoring.PROFILER_ID, __name__)
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION, count_one)
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION)
    try:
        call()
    finally:
        monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.NO_EVENTS)
        monitoring.free_tool_id(monitoring.PROFILER_ID)
    return count


def _traced(call: Callable[[], object]) -> int:
    count = 0

    def count_one(_: FrameType, event: str, __: object) -> Any:
        nonlocal count
        count += event == "opcode"
        return count_one

    def enter(frame: FrameType, _: str, __: object) -> Any:
        if not frame.f_code.co_filename.startswith(_COUNTED):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return count_one

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def executed_when_warm(call: Callable[[], object]) -> int:
    """Return the same once it has been called some times; the least of a few, as a collection may run in between."""
    for _ in range(_WARM_UP):
        call()
    return min(executed(call) for _ in range(_CALLS))


def counts() -> dict[str, int]:
    """Return the bytecodes of an invocation by workload and subject."""
    made, found = workloads(), {}
    for subject in COUNTED_SUBJECTS:
        config = {"callbacks": SUBJECTS[subject][1]()}
        for name in WORKLOADS:
            found[f"{name}: {subject}"] = executed_when_warm(lambda name=name, config=config: made[name].invoke(config))
    return found


def excesses(now: dict[str, int], kept: dict[str, int]) -> list[str]:
    """Return what costs more than is kept, a line for each."""
    return [
        f"{name}: {count:,} bytecodes, {count / kept[name] - 1:+.1%} of the {kept[name]:,} that are kept"
        for name, count in now.items()
        if count > kept[name] * (1 + MOST_ABOVE)
    ]


def main() -> None:
    """Print the counts; exit with 1 if one is too high, or keep them if that is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="write them into instructions.json")
    keep = parser.parse_args().keep
    version = ".".join(map(str, sys.version_info[:2]))
    kept: dict[str, dict[str, int]] = json.loads(KEPT.read_text())
    now = counts()
    if keep:
        KEPT.write_text(json.dumps(dict(sorted({**kept, version: now}.items())), indent=2) + "\n")
        kept[version] = now
    if version not in kept:
        sys.exit(f"No counts are kept of Python {version}. Keep some: make instructions KEEP=1.")
    for name, count in now.items():
        print(f"{name:43}{count:>9,}{count / kept[version][name] - 1:>+8.1%}")
    if lines := excesses(now, kept[version]):
        sys.exit("\n".join((*lines, "Find what was added, or keep it by intention: make instructions KEEP=1.")))


if __name__ == "__main__":
    main()
