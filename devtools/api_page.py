"""Writes docs/api.md, which names what mkdocstrings takes docstrings from: ``make docs``."""
# ruff: noqa: INP001  a script

from pathlib import Path
from typing import Final

import runspan
import runspan.testing

TARGET: Final = Path(__file__).parent.parent / "docs" / "api.md"


def text() -> str:
    """Return the whole page: each public name, functions first."""
    names = [f"runspan.{each}" for each in runspan.__all__ if each != "__version__"]
    names += [f"runspan.testing.{each}" for each in runspan.testing.__all__]
    names.sort(key=lambda name: (name.startswith("runspan.testing."), name.rpartition(".")[2][0].isupper()))
    return "\n".join(["# API", "", "All public names.", "", *(f"::: {name}" for name in names), ""])


if __name__ == "__main__":
    TARGET.write_text(text())
