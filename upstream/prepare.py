"""What LangChain's own tests need: an environment with runspan and LangChain in it, and the tests themselves."""
# ruff: noqa: INP001, S603  modules beside a script, no package; what is called stands here

import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache" / "upstream"
PYTHON: Final = ROOT / ".venv-upstream" / "bin" / "python"
_STAMP: Final = PYTHON.parent.parent / "made-of"
_ASK_VERSION: Final = "from importlib.metadata import version; print(version('langchain-core'))"


def prepare() -> tuple[str, Path]:
    """Make the environment if it is missing or out of date.

    Remove ``.venv-upstream`` to get the newest langchain-core again.

    Returns:
        The version of langchain-core, and the folder that holds its ``tests``.
    """
    made_of = f"Python {sys.version}\n{(ROOT / 'pyproject.toml').read_text()}"
    if _STAMP.exists() and _STAMP.read_text() == made_of:
        version = _installed_version()
        return version, _tests_of(version)
    _run(sys.executable, "-m", "venv", "--clear", str(PYTHON.parent.parent))
    _pip("install", "--editable", str(ROOT))
    version = _installed_version()
    folder = _tests_of(version)
    wanted = tomllib.loads((folder / "pyproject.toml").read_text())["dependency-groups"]["test"]
    _pip("install", f"langchain-core=={version}", *wanted)
    _STAMP.write_text(made_of)
    return version, folder


def _tests_of(version: str) -> Path:
    folder = CACHE / f"langchain_core-{version}"
    if folder.exists():
        return folder
    _pip("download", "--no-deps", "--no-binary", ":all:", "--dest", str(CACHE), f"langchain-core=={version}")
    unpacked = CACHE / "unpacked"
    # Without the package itself, which would hide the installed one.
    wanted = (f"{folder.name}/tests/", f"{folder.name}/pyproject.toml")
    with tarfile.open(CACHE / f"{folder.name}.tar.gz") as archive:
        members = [member for member in archive if member.name.startswith(wanted)]
        archive.extractall(unpacked, members, filter="data")
    return (unpacked / folder.name).rename(folder)


def _installed_version() -> str:
    return subprocess.check_output([PYTHON, "-c", _ASK_VERSION], text=True).strip()


def _pip(*arguments: str) -> None:
    _run(str(PYTHON), "-m", "pip", "--quiet", *arguments)


def _run(*command: str) -> None:
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"This failed, see above; it needs a package index: {' '.join(command)}")
