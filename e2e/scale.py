"""Bring what the profile `scale` has beside Jaeger and the Collector: Kafka's own server by Maven, Prometheus by Go.

    python e2e/scale.py          bring them, unless they are there

They land in `folder()`, as `kafka/*.jar` and `prometheus`. Needs any Python from 3.11 on, Maven, Java 17 to run Kafka,
and Go. ClickHouse can't be had this way: no registry of packages has its server.
"""
# ruff: noqa: INP001, T201  a script, and it prints

import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e import backends

KAFKA: Final = backends.HERE / "kafka.xml"
PROMETHEUS: Final = backends.HERE / "prometheus.mod"
_NEEDED: Final = {"mvn": "Maven", "java": "Java 17", "go": "Go 1.26"}


def main() -> None:
    """Bring both and say where they are."""
    made = folder()
    if not made.exists():
        lacking = [name for program, name in _NEEDED.items() if shutil.which(program) is None]
        if lacking:
            raise SystemExit(f"Missing on PATH: {', '.join(lacking)}.")
        backends.bring(made, "Kafka and Prometheus", _download_and_build)
    print(f"Kafka and Prometheus are in {made}")


@cache
def folder() -> Path:
    """Return where they are in the pinned versions, or would be."""
    pins = hashlib.sha256(KAFKA.read_bytes() + PROMETHEUS.read_bytes()).hexdigest()[:12]
    return backends.folder().parent / f"scale-{pins}"


def _download_and_build(work: Path, programs: Path) -> None:
    copy = ["dependency:copy-dependencies", f"-DoutputDirectory={programs / 'kafka'}"]
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(KAFKA), *copy]
    backends.step("Downloading Kafka", work, command, cwd=backends.HERE)
    backends.build_module(
        PROMETHEUS,
        "github.com/prometheus/prometheus/cmd/prometheus",
        programs / "prometheus",
        work=work,
        what="Building Prometheus (5 minutes on 2 cores the first time)",
        tags="remove_all_sd",  # targets are in its configuration: the clients of clouds are most of it
    )


if __name__ == "__main__":
    main()
