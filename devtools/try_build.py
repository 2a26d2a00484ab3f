"""Install the wheel and the sdist of `dist/`, each into a fresh environment, and trace a chain with what is there.

Exits with 1 if a chain is not traced, or if the wheel holds anything but the package and its metadata.
"""
# ruff: noqa: INP001, S603, T201  a script, it prints, and runs the Python that it made

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
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


def main() -> int:
    """Try each, and return the exit code."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    (sdist,) = (ROOT / "dist").glob("*.tar.gz")
    strange = [name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith(("runspan/", "runspan-"))]
    wrongs = [f"{wheel.name} holds {name}" for name in strange]
    for built in (wheel, sdist):
        printed = trace_with(built)
        print(f"{built.name}:\n{printed}")
        if "RunnableSequence" not in printed or "version" not in printed:
            wrongs.append(f"{built.name} traces no chain")
    print("\n".join(wrongs) or "Both work.")
    return 1 if wrongs else 0


def trace_with(built: Path) -> str:
    """Return what a program prints that traces a chain, in an environment with nothing but what was built."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(built)]
        subprocess.run(install, check=True)
        done = subprocess.run([python, "-c", PROGRAM], capture_output=True, text=True, check=False, cwd=folder)
        return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
