"""What the Makefile asks about packages and Pythons; needs any Python from 3.11 on, nothing installed.

python devtools/environments.py freeze PYTHON     write constraints.txt: what is installed for that Python
python devtools/environments.py moved PYTHON      print what differs there from constraints.txt
python devtools/environments.py newer PYTHON      print what `make newest` would install otherwise than it is there
python devtools/environments.py lowest            print the lowest versions that pyproject.toml permits
python devtools/environments.py pythons           print VERSION=PATH of each supported Python of this machine
"""
# ruff: noqa: INP001, S603, T201  a script, it prints, and what it calls is named on its command line

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CONSTRAINTS: Final = ROOT / "constraints.txt"
SUPPORTED: Final = ("3.11", "3.12", "3.13", "3.14")
_HEADER: Final = (
    "# Exact versions for demo, test, lint and bench. Written by `make constraints`; `make newest` tries newer ones.\n"
)


def freeze(python: str) -> None:
    """Write constraints.txt: a name and an exact version each line, no address."""
    lines = [f"{name}=={version}\n" for name, version in sorted(installed(python).items())]
    CONSTRAINTS.write_text(_HEADER + "".join(lines))
    print(f"{CONSTRAINTS.name}: {len(lines)} packages.")


def moved(python: str) -> None:
    """Print the packages whose version is not that of constraints.txt."""
    pinned = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#"))
    found = installed(python)
    changes = [
        f"  {name} {pinned.get(name, 'not there')} -> {found.get(name, 'not there')}"
        for name in sorted(pinned.keys() | found.keys())
        if pinned.get(name) != found.get(name)
    ]
    print("\n".join(["Moved since constraints.txt was written:", *changes]) if changes else "No package has moved.")


def newer(python: str) -> None:
    """Print the packages that are newer than those installed for a Python; nothing is installed."""
    upgrade = ["--dry-run", "--upgrade", "--upgrade-strategy", "eager", "--editable", f"{ROOT}[test,lint]"]
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--report", "-", *upgrade]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    found = [each["metadata"] for each in report["install"] if each["metadata"]["name"] != "runspan"]
    print(*(f"{each['name']} {each['version']}" for each in found), sep="\n", end="")


def lowest() -> None:
    """Print, in pip's form, the lowest version of each package that runspan itself needs, and of LangGraph's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["langgraph"]]
    print("\n".join(needed).replace(">=", "=="))


def pythons(*without: str) -> None:
    """Print the supported Pythons of this machine, but those of some versions: those on the PATH and those of pyenv."""
    for version in (each for each in SUPPORTED if each not in without):
        path = next(filter(is_usable, candidates(version)), None)
        if path is not None:
            print(f"{version}={path}")


def installed(python: str) -> dict[str, str]:
    """Return the packages installed for a Python, by name; what stands there from a folder is left out."""
    command = [python, "-m", "pip", "freeze", "--exclude-editable", "--exclude", "pip", "--exclude", "setuptools"]
    frozen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", frozen, re.MULTILINE))


def candidates(version: str) -> Iterator[str]:
    """Yield the paths at which a Python of a version may be."""
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield on_path
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from (str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python")))


def is_usable(path: str) -> bool:
    """Return whether a Python starts and can make virtual environments; a shim of pyenv may do neither."""
    return subprocess.run([path, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    commands: Final[dict[str, Callable[..., None]]] = {
        "freeze": freeze,
        "moved": moved,
        "newer": newer,
        "lowest": lowest,
        "pythons": pythons,
    }
    commands[sys.argv[1]](*sys.argv[2:])
