"""What keeps the code readable: public names, documented tests, true documents."""

import ast
import re
from pathlib import Path

import pytest

import runspan

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "runspan"


def test_public_names():
    """What the package exports is there, sorted, and nothing else is public."""
    assert runspan.__all__ == sorted(runspan.__all__)
    for name in runspan.__all__:
        assert getattr(runspan, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = runspan.nothing


@pytest.mark.once
def test_nothing_is_patched_and_nothing_private_is_used():
    """No file of ours sets attributes of LangChain's, LangGraph's or OpenTelemetry's modules, or reads private ones."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if module.startswith(("langchain", "langgraph", "opentelemetry")):
                parts = [*module.split("."), *(alias.name for alias in node.names)]
                assert not [part for part in parts if part.startswith("_")], f"{path.name}: {module}"
        assert not re.search(r"setattr\(|monkeypatch|wrapt", path.read_text()), path.name


@pytest.mark.once
def test_no_function_is_long():
    """The body of a function of ours has at most 40 lines, without its docstring."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                statements = node.body[1:] if ast.get_docstring(node) else node.body
                lines = statements[-1].end_lineno - statements[0].lineno + 1 if statements else 0
                assert lines <= 40, f"{path.name}: {node.name}"


@pytest.mark.once
def test_no_file_is_long():
    """A file of the package has at most 350 lines: one with more has two subjects."""
    lengths = {path.relative_to(SOURCE).as_posix(): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


@pytest.mark.once
def test_every_test_says_what_it_shows():
    """Each test has a sentence that says the behaviour."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                sentence = ast.get_docstring(node) or ""
                assert sentence.endswith("."), f"{path.name}: {node.name}"


@pytest.mark.once
def test_lists_of_arguments_begin_in_lower_case():
    """In every docstring what is said of an argument, attribute or error begins in lower case, but for proper names."""
    for path in SOURCE.rglob("*.py"):
        for documented in ast.walk(ast.parse(path.read_text())):
            if isinstance(documented, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                _, *lists = re.split(
                    r"^(?:Args|Attributes|Raises):\n", ast.get_docstring(documented) or "", flags=re.MULTILINE
                )
                for entries in lists:
                    capitals = re.findall(r"^    [\w*]+: [A-Z][a-z]*\b", entries.split("\n\n")[0], flags=re.MULTILINE)
                    assert capitals == [], f"{path.name}: {documented.name}"


def test_the_readme_is_true():
    """Files and make targets that the README names exist."""
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z0-9-]+)", readme):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (ROOT / path).exists(), path
