"""Who may import whom: a straight line from what LangChain says to where spans go, without a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

SOURCE = Path(__file__).parent.parent / "src" / "runspan"

# What everything stands on: knows nothing of runs, spans or payloads.
BASE = {
    "_by_identity",
    "_file_lock",
    "_encoding",
    "_environment",
    "_forking",
    "_guard",
    "_missed_signals",
    "_process_exit",
    "_sigterm",
    "_span_memory",
    "_span_processors",
    "_threads",
    "_version",
    "_worker",
    "arguments",
    "attributes",
    "callback_event",
    "content_switch",
    "cost",
    "propagation",
    "redaction",
    "secret_patterns",
    "semconv",
    "settings",
}
# A package may import itself, and what is named here; one that is not named here may import anything.
MAY_IMPORT = {
    **dict.fromkeys(BASE, BASE),
    "payload": BASE,
    "blob_store": BASE | {"payload"},
    "runs": BASE,
    "rebuild": BASE | {"payload"},
    "signals": BASE | {"payload", "runs"},
    "listeners": BASE | {"payload", "rebuild", "runs"},
    "langchain": BASE | {"blob_store", "listeners", "payload", "rebuild", "runs", "signals"},
    "processors": BASE | {"listeners.live_spans", "payload", "rebuild", "runs"},
    "recording": BASE | {"listeners", "rebuild"},
    "export": BASE,
}
ENTRY_POINTS = {
    "__init__",
    "__main__",
    "_configure",
    "_doctor",
    "_handle",
    "_instrumentor",
    "_invocation",
    "_notebook",
    "_pytest_plugin",
}
# What users import by its own name: may import anything, and nobody but an entry point imports it.
BESIDE = {"testing"}
# What looks at traces: may import anything, nothing but an entry point imports it.
TOP = {"cli", "viewer"}
FILES = {
    ".".join(["runspan", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def imports(path: Path) -> set[str]:
    """Return the files of ours that a file imports, anywhere in it: lazily and for types alone, too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            each = {f"{node.module}.{alias.name}" for alias in node.names}
            names.update(name if name in FILES else node.module for name in each)
    return names & FILES.keys()


@pytest.mark.parametrize("name", sorted(FILES))
def test_layers(name):
    """A file imports nothing but what its package may know."""
    package = name.split(".")[1] if name != "runspan" else "__init__"
    if package in ENTRY_POINTS | BESIDE | {"cli"}:
        return
    if package == "viewer":
        assert not [each for each in imports(FILES[name]) if each.startswith("runspan.cli")]
        return
    for imported in imports(FILES[name]):
        below = imported.removeprefix("runspan.")
        assert {below, below.split(".")[0]} & (MAY_IMPORT[package] | {package}), f"{name} must not import {imported}"


def test_no_circle():
    """No file imports itself through others, nor does anything import an entry point but another one."""
    graph = {name: imports(path) - {name} for name, path in FILES.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    outside = {name for name in graph if name.split(".")[-1] not in ENTRY_POINTS and name != "runspan"}
    outside = {name for name in outside if name.split(".")[1] not in TOP}
    assert not [name for name in outside if graph[name] & {f"runspan.{each}" for each in ENTRY_POINTS}]
