"""Install the wheel and the sdist of `dist/` into fresh environments, and trace a chain with what is there.

The wheel is tried on each supported Python of this machine, bare and with all extras for users; on this one with each
extra alone, too. Prints what the wheel takes and brings. Exits with 1 if a chain is not traced, if the wheel holds
anything but the package and its metadata, or the sdist lacks a file of the repository.
"""
# ruff: noqa: INP001, S603, S607, T201  a script, it prints, and runs the Python that it made

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
EXTRAS: Final = ("blobs", "cli", "langgraph", "prices", "testing", "ui")  # those for users
PROGRAM: Final = """
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
import runspan
with runspan.configure(service_name="try", console=True):
    chain = ChatPromptTemplate.from_template("{x}") | FakeListChatModel(responses=["yes"])
    chain.invoke({"x": "well?"}, {"callbacks": [runspan.OpenTelemetryCallbackHandler()]})
assert "iframe" in runspan.show([])._repr_html_()  # the page came along
print("version", runspan.__version__)
"""
SIZES: Final = """
import importlib.metadata as metadata
for each in sorted(metadata.distributions(), key=lambda each: each.name.lower()):
    size = sum(file.locate().stat().st_size for file in each.files or () if file.locate().is_file())
    print(f"{size / 1e6:7.1f} MB  {each.name} {each.version}")
"""


def main() -> int:
    """Try each, and return the exit code."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    (sdist,) = (ROOT / "dist").glob("*.tar.gz")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e3:.0f} KB; {sdist.name}: {sdist.stat().st_size / 1e3:.0f} KB")
    with tarfile.open(sdist) as opened:
        lacking = sorted(tracked() - {name.partition("/")[2] for name in opened.getnames()})
    strange = [name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith(("runspan/", "runspan-"))]
    wrongs = [f"{wheel.name} holds {name}" for name in strange] + [f"{sdist.name} lacks {name}" for name in lacking]
    for python, built, extras in trials(wheel, sdist):
        name = f"{built.name}[{','.join(extras)}] on {python}"
        is_traced = traces_a_chain(python, built, extras)
        print(f"{name}: {'works' if is_traced else 'traces no chain'}")
        wrongs += [] if is_traced else [f"{name} traces no chain"]
    print("\n".join(wrongs) or "All work.")
    return 1 if wrongs else 0


def tracked() -> set[str]:
    """Return the files of the repository: the tests need them all."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(filter(None, listed.stdout.split("\0")))


def trials(wheel: Path, sdist: Path) -> list[tuple[str, Path, tuple[str, ...]]]:
    """Return with which Python what is installed, with which extras."""
    listed = subprocess.run(
        [sys.executable, str(ROOT / "devtools" / "environments.py"), "pythons"],
        capture_output=True,
        text=True,
        check=True,
    )
    pythons = [line.partition("=")[2] for line in listed.stdout.splitlines()]
    alone = [(sys.executable, wheel, (each,)) for each in EXTRAS]
    everywhere = [(python, wheel, extras) for python in pythons for extras in ((), EXTRAS)]
    return [(sys.executable, sdist, ()), *alone, *everywhere]


def traces_a_chain(python: str, built: Path, extras: tuple[str, ...]) -> bool:
    """Return whether a program traces a chain, in an environment with nothing but what was built."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        own = str(Path(folder) / "bin" / "python")
        what = f"{built}[{','.join(extras)}]" if extras else str(built)
        subprocess.run([own, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), what], check=True)
        done = subprocess.run([own, "-c", PROGRAM], capture_output=True, text=True, check=False, cwd=folder)
        printed = done.stdout + done.stderr
        if built.suffix == ".gz":  # once
            print(subprocess.run([own, "-c", SIZES], capture_output=True, text=True, check=True).stdout)
        return "RunnableSequence" in printed and "version" in printed


if __name__ == "__main__":
    sys.exit(main())
