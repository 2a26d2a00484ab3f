"""Writes docs/settings.md from ``runspan.Settings``: ``make docs``."""
# ruff: noqa: INP001  a script

import inspect
import re
from pathlib import Path
from typing import Final

from runspan import Settings
from runspan.settings import variables_of

TARGET: Final = Path(__file__).parent.parent / "docs" / "settings.md"

_HEAD: Final = """\
# Settings

What a handler records: `OpenTelemetryCallbackHandler(settings=runspan.Settings(...))`, or the variables. An argument
wins over a variable, and of two variables the first. `handler.describe()` says what is in force, and why. This page is
made from `src/runspan/settings.py` by `make docs`; [content](content.md) has the rules of content, with examples.

| option | environment variable | default | meaning |
| --- | --- | --- | --- |
"""
_TAIL: Final = """
Where spans go is said by the arguments of `runspan.configure()` ([API](api.md)), or by OpenTelemetry's own variables,
which it honours: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_*`, `OTEL_TRACES_EXPORTER`,
`OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, `OTEL_SDK_DISABLED` and the limits of spans.
"""


def text() -> str:
    """Return the whole page."""
    meanings = _meanings()
    rows = []
    for name, field in Settings.model_fields.items():
        listed = ", ".join(f"`{each}`" for each in variables_of(name))
        rows.append(f"| `{name}` | {listed} | `{field.default}` | {meanings[name]} |\n")
    return _HEAD + "".join(rows) + _TAIL


def _meanings() -> dict[str, str]:
    """Return what the docstring says of each argument, as Markdown in one line."""
    arguments = inspect.cleandoc(Settings.__doc__ or "").split("\nArgs:\n")[1].split("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", arguments, flags=re.MULTILINE)
    return {name: " ".join(said.replace("``", "`").replace("|", r"\|").split()) for name, said in found}


if __name__ == "__main__":
    TARGET.write_text(text())
