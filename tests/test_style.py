"""What keeps the code readable: layers, public names, documented tests, true documents."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runspan
from runspan import Settings

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "runspan"

# What each layer may import: of ours, and of others besides the standard library.
LAYERS = {
    # What has no part in the way of an event.
    "_version": (set(), set()),
    "_guard": (set(), set()),
    "_threads": (set(), set()),
    "semconv": (set(), set()),
    "arguments": ({"_guard"}, set()),
    "settings": ({"arguments"}, {"pydantic", "pydantic_core", "pydantic_settings"}),
    "forking": ({"_threads"}, set()),
    # What LangChain says, as attributes; what attributes say, as LangChain would.
    "event": (set(), set()),
    "payload": ({"payload", "semconv", "_guard"}, {"langchain_core", "orjson", "pydantic"}),
    "rebuild": (
        {"rebuild", "event", "payload", "semconv", "_guard"},
        {"langchain_core", "opentelemetry.util.types", "orjson"},
    ),
    # Runs, their spans, and what is current.
    "place": ({"_threads"}, {"langchain_core.callbacks"}),
    "scope": (set(), {"langchain_core.callbacks", "opentelemetry.sdk.trace"}),
    "reaper": ({"forking", "runs", "_guard", "_threads"}, set()),
    "relations": ({"place"}, {"opentelemetry"}),
    "runs": (
        {"dispatch", "place", "reaper", "relations", "routing", "scope", "semconv", "_guard"},
        {"langchain_core.callbacks", "opentelemetry"},
    ),
    "saving": ({"place"}, set()),
    "late": ({"runs", "scope"}, {"opentelemetry", "langchain_core.runnables.config"}),
    "handler_spans": (set(), {"langchain_core.callbacks", "opentelemetry"}),
    "handler_span_processor": ({"context", "forking", "handler_spans"}, {"opentelemetry"}),
    "context": ({"handler_spans", "late", "place", "runs", "saving"}, {"opentelemetry"}),
    "tracing": (
        {
            "context",
            "forking",
            "handler_span_processor",
            "place",
            "reaper",
            "relations",
            "routing",
            "runs",
            "scope",
            "_version",
        },
        {"opentelemetry"},
    ),
    "ties": ({"attempts", "payload", "relations", "runs", "semconv"}, {"opentelemetry"}),
    "attempts": ({"payload", "place", "relations", "runs", "semconv"}, {"opentelemetry"}),
    "agents": ({"runs", "semconv"}, set()),
    "resumption": ({"arguments", "context", "_guard"}, {"opentelemetry"}),
    "graphs": ({"resumption", "runs", "semconv"}, set()),
    # Metrics and events.
    "private_names": (set(), set()),
    "metrics": ({"forking", "payload", "semconv", "_version"}, {"opentelemetry"}),
    "events": ({"arguments", "payload", "private_names", "semconv", "_guard", "_version"}, {"opentelemetry"}),
    "signals": ({"events", "metrics", "runs", "semconv", "_guard"}, {"opentelemetry", "orjson"}),
    # Listeners.
    "dispatch": ({"event", "forking", "scope", "_guard"}, {"langchain_core.callbacks"}),
    "live_spans": (set(), {"opentelemetry"}),
    "foreign": (
        {
            "context",
            "dispatch",
            "event",
            "forking",
            "live_spans",
            "payload",
            "rebuild",
            "runs",
            "scope",
            "semconv",
            "_guard",
        },
        {"langchain_core.callbacks", "opentelemetry"},
    ),
    "routing": (
        {"arguments", "context", "foreign", "forking", "late", "live_spans", "runs", "scope", "_guard"},
        {"opentelemetry"},
    ),
    "checks": ({"arguments"}, {"langchain_core.callbacks", "opentelemetry"}),
    "callback_processor": (
        {"checks", "context", "dispatch", "foreign", "scope"},
        {"langchain_core.callbacks", "opentelemetry"},
    ),
    "listeners": (
        {"callback_processor", "checks", "dispatch", "scope", "_guard"},
        {"langchain_core.callbacks", "opentelemetry"},
    ),
    # What joins them.
    "subjects": ({"payload"}, {"opentelemetry"}),
    "endings": ({"payload", "runs", "semconv", "_guard"}, {"langchain_core.outputs"}),
    "bridge": (
        {
            "agents",
            "dispatch",
            "endings",
            "event",
            "graphs",
            "payload",
            "routing",
            "runs",
            "scope",
            "semconv",
            "settings",
            "signals",
            "subjects",
            "ties",
            "tracing",
            "_guard",
        },
        {"langchain_core.callbacks", "opentelemetry"},
    ),
    "flush": ({"_guard"}, set()),
    "handler": (
        {
            "arguments",
            "bridge",
            "flush",
            "graphs",
            "listeners",
            "payload",
            "place",
            "runs",
            "scope",
            "settings",
            "signals",
            "subjects",
            "_guard",
        },
        {"langchain_core", "opentelemetry"},
    ),
    "embeddings": (
        {"arguments", "metrics", "payload", "semconv", "settings", "_guard", "_version"},
        {"langchain_core", "opentelemetry"},
    ),
    "block": ({"handler", "routing", "runs"}, {"langchain_core.callbacks", "opentelemetry"}),
    "recording": ({"arguments"}, {"google.protobuf", "opentelemetry", "orjson"}),
    "playback": ({"arguments", "checks", "foreign", "rebuild", "recording"}, {"langchain_core.callbacks"}),
    # Where spans go.
    "wrapping": ({"arguments"}, {"opentelemetry"}),
    "replaceable": ({"wrapping"}, {"opentelemetry"}),
    "ai_only": ({"arguments", "wrapping", "_guard"}, {"opentelemetry"}),
    "one_call": (
        {"context", "live_spans", "payload", "rebuild", "runs", "semconv", "wrapping", "_guard"},
        {"opentelemetry"},
    ),
    "console": ({"forking", "semconv", "_threads"}, {"opentelemetry"}),
    "export": (
        {"arguments", "export", "forking", "semconv", "_guard", "_threads", "_version"},
        {"google", "grpc", "opentelemetry", "orjson", "pydantic", "requests", "urllib3"},
    ),
    "setup": ({"arguments", "console", "export", "forking", "one_call", "replaceable", "tracing"}, {"opentelemetry"}),
    "demo": ({"demo"}, {"orjson", "pydantic", "starlette", "uvicorn"}),
    "__init__": (
        {
            "ai_only",
            "block",
            "callback_processor",
            "embeddings",
            "export",
            "handler",
            "one_call",
            "playback",
            "resumption",
            "settings",
            "setup",
            "_version",
        },
        set(),
    ),
}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"runspan.{alias.name}" for alias in node.names) if node.module == "runspan" else None
            names.add(node.module or "")
    return names - {"runspan"}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_layers(path):
    """A file imports nothing but what its layer may know."""
    layer = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    ours, others = LAYERS[layer]
    for name in imports(path):
        first = name.split(".")[0]
        if first == "runspan":
            assert name.split(".")[1] in ours, f"{layer} must not import {name}"
        elif first not in sys.stdlib_module_names:
            assert any(name == each or name.startswith(f"{each}.") for each in others), f"{layer} imports {name}"


def test_public_names():
    """What the package exports is there, sorted, and nothing else is public."""
    assert runspan.__all__ == sorted(runspan.__all__)
    for name in runspan.__all__:
        assert getattr(runspan, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = runspan.nothing


@pytest.mark.newest
def test_the_handler_costs_no_exporter():
    """Importing the package, and making a handler, imports no exporter, SDK or demo."""
    code = (
        "import sys, runspan; runspan.OpenTelemetryCallbackHandler();"
        "print([m for m in sys.modules if m.startswith(('opentelemetry.exporter', 'opentelemetry.sdk', 'grpc',"
        " 'langgraph', 'starlette'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_patched_and_nothing_private_is_used():
    """No file of ours sets attributes of LangChain's, LangGraph's or OpenTelemetry's modules, or reads private ones."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if module.startswith(("langchain", "langgraph", "opentelemetry")):
                parts = [*module.split("."), *(alias.name for alias in node.names)]
                assert not [part for part in parts if part.startswith("_")], f"{path.name}: {module}"
        assert not re.search(r"setattr\(|monkeypatch|wrapt", path.read_text()), path.name


def test_every_test_says_what_it_shows():
    """Each test has a sentence that says the behaviour."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                sentence = ast.get_docstring(node) or ""
                assert sentence.endswith("."), f"{path.name}: {node.name}"


def test_the_readme_lists_every_setting():
    """Each option stands in the README's table with its variable and default."""
    readme = (ROOT / "README.md").read_text()
    for name, field in Settings.model_fields.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}`"))
        assert all(f"`{variable}`" in row for variable in field.validation_alias.choices)
        assert f"`{field.default}`" in row


def test_the_readme_is_true():
    """Files and make targets that the README names exist."""
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z0-9-]+)", readme):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (ROOT / path).exists(), path
