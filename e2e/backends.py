"""Bring the real Jaeger and Collector, as programs: out of Docker's images if an engine runs, else built with Go.

    python e2e/backends.py          bring them, unless they are there

They land in `folder()`, as `jaeger` and `otelcol-contrib`. Needs any Python from 3.11 on, nothing installed.
"""
# ruff: noqa: INP001, S603, S607, T201  a script, it prints, and what it calls stands here

import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
JAEGER: Final = "github.com/jaegertracing/jaeger"
BUILDER: Final = "go.opentelemetry.io/collector/cmd/builder"
# By the words in an image's name: where in it the program is, and how it is called here.
IN_IMAGES: Final = {
    "/jaeger:": ("/cmd/jaeger/jaeger-linux", "jaeger"),
    "/opentelemetry-collector-contrib:": ("/otelcol-contrib", "otelcol-contrib"),
}
_SIGN_OF_LIFE_S: Final = 20
# What is built for one run of tests needs no optimization, which is a third of the time of building.
_IS_QUICK: Final = bool(os.environ.get("RUNSPAN_QUICK_BACKENDS"))
# The same for all that is built, the Collector's builder too, so that what they share is compiled once; no DWARF, which
# -ldflags=-s -w would drop at the end. With the compiler's garbage collected less often it needs a tenth less time.
_FLAGS: Final = f"-buildvcs=false -trimpath '-gcflags=all=-dwarf=false{' -N -l' if _IS_QUICK else ''}'"
_GOGC: Final = "400"


class StepError(Exception):
    """A command failed; its last words are the message."""


def main() -> None:
    """Bring both programs and say where they are."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended before Jaeger and the Collector were there."))
    made = folder()
    if not made.exists():
        bring(made, "Jaeger and the Collector", _pull_or_build)
    print(f"Jaeger and the Collector are in {made}")


@cache
def folder() -> Path:
    """Return where the programs of the pinned versions are, or would be; the environment counts at the first call."""
    root = Path(os.environ.get("RUNSPAN_BACKENDS") or Path.home() / ".cache/runspan/backends")
    images = re.findall(
        r"\S+:\$\{(?:JAEGER|OTELCOL)_VERSION:-[^}]*\}", (HERE.parent / "docker-compose.yml").read_text()
    )
    pins = [(HERE / "jaeger.mod").read_text(), (HERE / "collector.yaml").read_text(), *images]
    optimized = root / hashlib.sha256("\n".join(pins).encode()).hexdigest()[:12]
    return optimized.with_name(f"{optimized.name}-quick") if _IS_QUICK and not optimized.exists() else optimized


def bring(made: Path, what: str, fill: Callable[[Path, Path], None]) -> None:
    """Make a folder of programs, whole or not at all: what is interrupted never stands in its place.

    Args:
        made: the folder.
        what: names the programs.
        fill: is called with a folder to work in, and that of the programs.
    """
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent, prefix="making-") as work:
        programs = Path(work) / "programs"
        programs.mkdir()
        try:
            fill(Path(work), programs)
        except StepError as failure:
            raise SystemExit(f"{failure}\n{what} could not be brought; see above.") from None
        if not made.exists():  # another run may have been faster
            programs.rename(made)


def _pull_or_build(work: Path, programs: Path) -> None:
    has_go = shutil.which("go") is not None
    if _has_engine():
        try:
            return _pull(work, programs)
        except StepError as failure:
            if not has_go:
                raise
            print(f"{failure}\nThe images can't be had, so both are built.", flush=True)
    if not has_go:
        raise SystemExit("Missing: a Docker engine that runs, or Go 1.26 on PATH. One of them brings the backends.")
    return _build(work, programs)


def _has_engine() -> bool:
    # What is in the images runs on Linux only.
    if platform.system() != "Linux" or not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _pull(work: Path, programs: Path) -> None:
    step("Pulling the images of docker-compose.yml", work, ["docker", "compose", "pull"], cwd=HERE.parent)
    images = _output(["docker", "compose", "config", "--images"]).split()
    for part, (path, name) in IN_IMAGES.items():
        image = next(image for image in images if part in image)
        container = _output(["docker", "create", image])
        try:
            _output(["docker", "cp", f"{container}:{path}", str(programs / name)])
        finally:
            _output(["docker", "rm", container])


def _build(work: Path, programs: Path) -> None:
    _build_jaeger(work, programs / "jaeger")
    _build_collector(work, programs / "otelcol-contrib")


def _build_jaeger(work: Path, program: Path) -> None:
    what = "Building Jaeger (6 minutes on 2 cores the first time)"
    build_module(HERE / "jaeger.mod", f"{JAEGER}/cmd/jaeger", program, work=work, what=what)


def build_module(pin: Path, package: str, program: Path, *, work: Path, what: str, tags: str = "") -> None:
    """Build a package of the module that a go.mod requires; ``tags`` choose among its parts."""
    (module,) = re.findall(r"^require (\S+)", pin.read_text(), re.MULTILINE)
    source = work / pin.stem
    source.mkdir()
    shutil.copy(pin, source / "go.mod")
    step(f"Downloading {module}", work, ["go", "mod", "download", module], cwd=source)
    # The public checksum database lacks some dependencies: the module's own list of checksums is the start of ours.
    folder_of_module = Path(_output(["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=source))
    (source / "go.sum").write_bytes((folder_of_module / "go.sum").read_bytes())
    step(what, work, _compile(package, program, tags), cwd=source)


def _build_collector(work: Path, program: Path) -> None:
    manifest = HERE / "collector.yaml"
    (version,) = re.findall(r"^  version: (\S+)$", manifest.read_text(), re.MULTILINE)
    generate = ["go", "run", f"{BUILDER}@v{version}", "--skip-compilation", f"--config={manifest}"]
    step("Generating the Collector (a minute or two the first time)", work, generate, cwd=work)
    what = "Building the Collector (5 minutes on 2 cores the first time)"
    step(what, work, _compile(".", program), cwd=work / "collector")


def _compile(package: str, program: Path, tags: str = "") -> list[str]:
    return ["go", "build", "-v", "-mod=mod", "-ldflags=-s -w", f"-tags={tags}", "-o", str(program), package]


def step(what: str, work: Path, command: list[str], cwd: Path) -> None:
    """Run a command; print its last line now and then, or its last lines if it fails."""
    print(what, flush=True)
    log, begun = work / "log", time.monotonic()
    with log.open("w") as output:
        running = subprocess.Popen(command, cwd=cwd, env=go_environment(), stdout=output, stderr=output)
    try:
        while (code := _wait(running)) is None:
            print(f"  {time.monotonic() - begun:4.0f} s  {_last(log, 1)[:100]}", flush=True)
    finally:
        running.terminate()  # if this program is to end before it
        running.wait()
    if code:
        raise StepError(f"{_last(log, 30)}\n`{' '.join(command)}` ended with {code}.")
    print(f"  {time.monotonic() - begun:4.0f} s  done", flush=True)


def _wait(running: subprocess.Popen[bytes]) -> int | None:
    try:
        return running.wait(_SIGN_OF_LIFE_S)
    except subprocess.TimeoutExpired:
        return None


def _last(log: Path, lines: int) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _output(command: list[str], cwd: Path = HERE.parent) -> str:
    done = subprocess.run(command, cwd=cwd, env=go_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepError(f"{done.stderr}\n`{' '.join(command)}` ended with {done.returncode}.")
    return done.stdout.strip()


def go_environment() -> dict[str, str]:
    """Return the variables to build with: without a C library, and no setting of the machine's decides how."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": _FLAGS, "GOGC": _GOGC, "GOWORK": "off"}


if __name__ == "__main__":
    main()
