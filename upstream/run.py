"""Run LangChain's own unit tests twice, with an empty handler and with runspan's in every invocation, and compare.

Exits with 1 if a test fails only with runspan's, if a run gets no span or one that ends otherwise than LangChain says,
if a span does not end by itself, if a callback handler that runspan drives hears of a run something else than LangChain
reported, or if LangChain, OpenTelemetry or runspan log a fault.
Needs any Python from 3.11 on, and a package index the first time.
"""
# ruff: noqa: INP001, S603, T201  a script, it prints, and what it calls stands here

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from prepare import CACHE, PYTHON, prepare

_LEAST_TESTS: Final = 1000
_PATIENCE_S: Final = 600
# LangChain's tests of rate limits assert on times: on a busy machine they fail now and then, with any handler.
_REPEATS: Final = 3
# As LangChain's own Makefile runs them, but for the parallel workers.
_OPTIONS: Final = ("-p", "no:cacheprovider", "--benchmark-disable", "--disable-socket", "--allow-unix-socket", "-q")
_FOREIGN_SETTINGS: Final = ("LANGCHAIN_", "LANGSMITH_", "OTEL_", "PYTEST_", "RUNSPAN_")

Notes = dict[str, Any]


def main() -> int:
    """Run, compare, print a summary; return the exit code."""
    version, folder = prepare()
    print(f"The unit tests of langchain-core {version}, with a handler in every invocation:", flush=True)
    empty, ours = run_with_each(folder, ["tests/unit_tests"], "all")
    wrongs = [*find_shortage(empty, ours), *find_lasting_differences(folder, empty, ours), *find_leftovers(ours)]
    print(
        f"Spans: {_total(ours['began']):,} for {_total(empty['began']):,} runs, {ours['ended']:,} ended,"
        f" {_total(ours['unfinished'])} of them unfinished, {len(ours['left_to_shutdown'])} only by shutdown."
        f" Events: {ours['events']:,}, {len(ours['reported_differently'])} runs reported differently by runspan."
        f" Open runs: {ours['open_runs']}. Faults: {ours['faults']}. Log lines: {len(ours['log_lines'])}."
    )
    print("\n".join(wrongs) or "Nothing is wrong.")
    return 1 if wrongs else 0


def run_with_each(folder: Path, chosen: list[str], label: str) -> tuple[Notes, Notes]:
    """Run the chosen tests with the empty handler, then with runspan's."""
    return run(folder, chosen, "empty", label), run(folder, chosen, "runspan", label)


def run(folder: Path, chosen: list[str], handler: str, label: str) -> Notes:
    """Run tests and return the plugin's notes; pytest's own words go to a log file."""
    notes, log = CACHE / f"{label}-{handler}.json", CACHE / f"{label}-{handler}.log"
    notes.unlink(missing_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_SETTINGS)}
    environment = {**kept, "PYTHONPATH": str(Path(__file__).parent)}
    plugin = ["-p", "plugin", f"--handler={handler}", f"--notes={notes}"]
    command = [str(PYTHON), "-m", "pytest", *plugin, *_OPTIONS, *chosen]
    begun = time.monotonic()
    with log.open("w") as output:
        try:
            subprocess.run(
                command, cwd=folder, env=environment, stdout=output, stderr=output, timeout=_PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise SystemExit(f"pytest hung with the handler {handler!r}; its last words are in {log}.") from None
    if not notes.exists():
        raise SystemExit(f"pytest did not get to the end with the handler {handler!r}; its last words are in {log}.")
    found: Notes = json.loads(notes.read_text())
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(Counter(found["outcomes"].values()).items()))
    print(f"{handler:<8} {counts}, in {time.monotonic() - begun:.0f} s", flush=True)
    return found


def find_shortage(*both: Notes) -> list[str]:
    """Say whether too few tests ran for the comparison to mean anything: in a line, none if there were enough."""
    least = min(len(notes["outcomes"]) for notes in both)
    return [f"Only {least} tests were found, at least {_LEAST_TESTS:,} are expected."] if least < _LEAST_TESTS else []


def find_lasting_differences(folder: Path, empty: Notes, ours: Notes) -> list[str]:
    """Return what is different in a test with runspan's handler, each time that it is run again without the others."""
    found = find_differences(empty, ours)
    for _ in range(_REPEATS):
        if not found:
            return []
        print(f"Different, so again by themselves: {len(found)}", flush=True)
        found = find_differences(*run_with_each(folder, sorted(found), "again"))
    return [f"{test}: {found[test]}" for test in sorted(found)]


def find_differences(empty: Notes, ours: Notes) -> dict[str, str]:
    """Return what is different in which test."""
    found = {}
    for test, outcome in empty["outcomes"].items():
        runs, spans = empty["began"].get(test, 0), ours["began"].get(test, 0)
        left, unfinished = empty["unfinished"].get(test, 0), ours["unfinished"].get(test, 0)
        if outcome == "passed" and ours["outcomes"].get(test) != "passed":
            found[test] = f"passes with the empty handler only.\n{ours['reasons'].get(test, 'It did not run.')}"
        elif runs != spans:
            found[test] = f"{runs} runs, but {spans} spans."
        elif unfinished > left:
            found[test] = f"{unfinished} spans ended as left or cancelled, but only {left} runs were."
    return found


def find_leftovers(ours: Notes) -> list[str]:
    """Return what runspan left open, lost or complained of."""
    wrongs = [f"Never ended: {span}" for span in ours["never_ended"]]
    wrongs += [f"Ended by shutdown only: {span}" for span in ours["left_to_shutdown"]]
    wrongs += [f"Logged: {line}" for line in ours["log_lines"]]
    if ours["ended"] != _total(ours["began"]):
        wrongs.append(f"{_total(ours['began'])} spans began and {ours['ended']} ended.")
    if ours["open_runs"]:
        wrongs.append(f"{ours['open_runs']} runs are open after the shutdown.")
    wrongs += [f"Reported differently: {difference}" for difference in ours["reported_differently"]]
    if ours["faults"]:
        wrongs.append(f"The guard kept {ours['faults']} errors from the tests.")
    return wrongs


def _total(by_test: dict[str, int]) -> int:
    return sum(by_test.values())


if __name__ == "__main__":
    sys.exit(main())
