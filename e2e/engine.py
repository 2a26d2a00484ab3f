"""A Docker engine with Compose and the images of docker-compose.yml: the one that runs, or one of our own.

    python e2e/engine.py    see whether an engine runs or can be run; as root it installs Debian's docker.io for that

Our own is Debian's engine in a folder that is thrown away. It can pull nothing, so the images are made of the programs
that `backends.py` built, under the names that docker-compose.yml pins, with the few tools that it calls.
"""
# ruff: noqa: INP001, S603, S607, T201  a script, it prints, and what it calls stands here

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e import backends

COMPOSE: Final = "github.com/docker/compose/v2"
_USER: Final = "10001"
_DEBIAN: Final = {"dockerd": "docker.io", "wget": "wget"}
_STARTS_WITHIN_S: Final = 60


@dataclass(frozen=True)
class Engine:
    """What to call, and with which environment."""

    compose: tuple[str, ...] = ("docker", "compose")
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, **environment: str) -> str:
        """Run a command of `docker`, and return what it prints."""
        return self._run(("docker", *command), environment)

    def run_compose(self, *command: str, **environment: str) -> str:
        """Run a command of Compose on docker-compose.yml, and return what it prints."""
        return self._run((*self.compose, *command), environment)

    def _run(self, command: tuple[str, ...], environment: dict[str, str]) -> str:
        whole = {**os.environ, **self.environment, **environment}
        done = subprocess.run(command, cwd=backends.HERE.parent, env=whole, capture_output=True, text=True, check=False)
        if done.returncode:
            raise backends.StepError(f"{done.stdout}{done.stderr}\n`{' '.join(command)}` ended with {done.returncode}.")
        return done.stdout


def missing() -> str:
    """Return what is missing for an engine, nothing if none is."""
    return "" if has_engine() else missing_for_own()


def missing_for_own() -> str:
    """Return what is missing to run one."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "a Docker engine with Compose that runs; or Linux and root, to run one for these tests"
    lacking = [package for program, package in _DEBIAN.items() if not shutil.which(program)]
    if lacking and not shutil.which("apt-get"):
        return f"a Docker engine that runs; or {' and '.join(lacking)}, to run one for these tests"
    return (
        "" if shutil.which("go") else "a Docker engine that runs; or Go 1.26, to build Compose for one of these tests"
    )


def has_engine() -> bool:
    """Return whether an engine runs, with Compose."""
    if not shutil.which("docker"):
        return False
    calls = (["docker", "info"], ["docker", "compose", "version"])
    return all(subprocess.run(call, capture_output=True, check=False).returncode == 0 for call in calls)


@contextmanager
def engine() -> Iterator[Engine]:
    """Give the engine that runs, if it has the images or can pull them; else run one."""
    if has_engine() and _has_images(Engine()):
        yield Engine()
        return
    if lacking := missing_for_own():
        raise SystemExit(f"Missing: {lacking}.")
    _install()
    with tempfile.TemporaryDirectory(prefix="runspan-engine-") as work, _running(Path(work)) as host:
        own = Engine((str(_compose()),), {"DOCKER_HOST": host})
        _make_images(own)
        yield own


def _has_images(of_user: Engine) -> bool:
    try:
        of_user.run_compose("--profile", "sampling", "pull", "--quiet")
    except backends.StepError as failure:
        print(f"{failure}\nThe images can't be had by the engine that runs.", flush=True)
        return False
    return True


def _install() -> None:
    packages = [package for program, package in _DEBIAN.items() if not shutil.which(program)]
    if packages:
        print(f"Installing Debian's {' and '.join(packages)}", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        if subprocess.run(install, env=quiet, capture_output=True, check=False).returncode:
            subprocess.run(["apt-get", "update", "-qq"], env=quiet, capture_output=True, check=False)
            if subprocess.run(install, env=quiet, stdout=subprocess.DEVNULL, check=False).returncode:
                raise SystemExit(f"Debian's {' and '.join(packages)} can't be installed; see above.")


@contextmanager
def _running(work: Path) -> Iterator[str]:
    """Run an engine that leaves the machine's firewall and bridges alone; give its address."""
    host, log = f"unix://{work}/socket", work / "log"
    folders = [f"--data-root={work}/data", f"--exec-root={work}/exec", f"--pidfile={work}/pid"]
    command = ["dockerd", f"--host={host}", "--iptables=false", "--bridge=none", *folders]
    with log.open("w") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _STARTS_WITHIN_S
        info = ["docker", f"--host={host}", "info"]
        while subprocess.run(info, capture_output=True, check=False).returncode:
            if running.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{log.read_text()[-3000:]}\nDebian's Docker engine does not start; see above.")
            time.sleep(0.5)
        yield host
    finally:
        running.terminate()
        running.wait()


def _compose() -> Path:
    """Return Compose as a program, built the first time."""
    pin = backends.HERE / "compose.mod"
    program = backends.folder().parent / f"compose-{hashlib.sha256(pin.read_bytes()).hexdigest()[:12]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent, prefix="making-") as work:
            made = Path(work) / "program"
            backends.build_module(
                pin, f"{COMPOSE}/cmd", made, work=Path(work), what="Building Compose (2 minutes the first time)"
            )
            made.rename(program)
    return program


def _make_images(own: Engine) -> None:
    names = set(own.run_compose("config", "--images").split())
    jaeger = next(name for name in names if "/jaeger:" in name)
    collector = next(name for name in names if "/opentelemetry-collector-contrib:" in name)
    programs = backends.folder()
    _import(own, collector, {"otelcol-contrib": programs / "otelcol-contrib"}, "/otelcol-contrib")
    jaeger_files = {"cmd/jaeger/jaeger-linux": programs / "jaeger", **_tools()}
    _import(own, jaeger, jaeger_files, "/cmd/jaeger/jaeger-linux")


def _tools() -> dict[str, Path]:
    """Return this machine's own tools under the names that docker-compose.yml calls, and the libraries they need."""
    tools = {f"bin/{tool}": Path(shutil.which(tool) or "") for tool in ("chown", "sh", "tail", "wget")}
    needs = subprocess.run(["ldd", *tools.values()], capture_output=True, text=True, check=True).stdout
    libraries = set(re.findall(r"/\S+(?= \(0x)", needs))
    return tools | {path.lstrip("/"): Path(path) for path in libraries}


def _import(own: Engine, name: str, files: dict[str, Path], entry_point: str) -> None:
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, source in files.items():
                entry = tarfile.TarInfo(path)
                entry.mode, content = 0o755, source.read_bytes()
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            temporary = tarfile.TarInfo("tmp")
            temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(temporary)
        archive.flush()
        changes = (f'ENTRYPOINT ["{entry_point}"]', f"USER {_USER}:{_USER}", "ENV PATH=/bin")
        own.run("import", *(f"--change={change}" for change in changes), archive.name, name)


def main() -> None:
    """Fail with what is missing; where no engine runs, install Debian's and see whether it starts."""
    if lacking := missing():
        raise SystemExit(f"Missing: {lacking}.")
    if not has_engine():
        _install()
        with tempfile.TemporaryDirectory(prefix="runspan-engine-") as work, _running(Path(work)):
            pass
    print("Nothing is missing: an engine runs, or can be run.")


if __name__ == "__main__":
    main()
