"""The documents: what is made from the code is not stale, and the files that they name exist."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from runspan import semconv
from runspan.semconv import delivery_names, event_names, metric_names
from runspan.semconv.name_table import NAMES

ROOT = Path(__file__).parent.parent
CONSTANTS = {
    name: value for part in (semconv, event_names, metric_names, delivery_names) for name, value in vars(part).items()
}
DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "SECURITY")),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "e2e" / "README.md",
]
# What documents name a file by, if not from the top: its place below one of these, or its name alone.
TOPS = [ROOT / each for each in ("src", "tests", "docs", "e2e", "collector-config")]
NO_FILES_OF_OURS = {"gunicorn.conf.py", "site/"}  # of users, and what is made
FILE = re.compile(r"\w[\w./-]*(?:\.(?:py|md|yaml|yml|toml|txt|json|mod|xml)|/)")


def exists(name):
    """Return whether a document may mean a file or folder by a name."""
    return (ROOT / name).exists() or any(next(top.rglob(name), None) for top in TOPS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_files_that_a_document_names_exist(document):
    """Each path between backticks leads to a file or folder, each relative link to what is there."""
    text = document.read_text()
    named = {each for each in re.findall(r"`([^`\s]+)`", text) if FILE.fullmatch(each)} - NO_FILES_OF_OURS
    assert [name for name in sorted(named) if not exists(name)] == []
    links = re.findall(r"\]\((?!http)([^)#\s]+)\)", text)
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("page", ["api", "settings", "telemetry"])
def test_the_pages_that_are_made_are_not_stale(page):
    """A page that is made from the code is what `make docs` writes."""
    made = runpy.run_path(str(ROOT / "devtools" / f"{page}_page.py"))["text"]()
    assert (ROOT / "docs" / f"{page}.md").read_text() == made, "run `make docs`"


def test_every_page_is_in_the_navigation():
    """Each page of docs/ is listed in mkdocs.yml."""
    listed = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} == listed


def test_the_readme_takes_two_screens():
    """The README has at most 120 lines; what is longer is a page."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_every_name_is_written_by_live_spans():
    """No name stands in the table that only recorded spans of others can have."""
    table = {each.name for each in NAMES}
    code = "".join(
        path.read_text()
        for path in (ROOT / "src" / "runspan").rglob("*.py")
        if not {"semconv", "rebuild"} & set(path.parts)
    )
    constants = {name for name, value in CONSTANTS.items() if name.isupper() and str(value) in table}
    unused = [name for name in constants if not re.search(rf"\b{name}\b", code)]
    assert unused == [], "nothing writes these: take them out of the table"


def test_every_name_stands_in_the_table():
    """No name stands in the files of names without its level; no other module writes one of its own."""
    table = {each.name for each in NAMES}
    constants = {value for name, value in CONSTANTS.items() if name.isupper() and isinstance(value, str)}
    assert {each for each in constants if each.startswith(("gen_ai.", "langchain.", "langgraph."))} - table == {
        semconv.METADATA,
        semconv.PROMPT_VARIABLE,
    }
    assert len(table) == len(NAMES)
    for path in (ROOT / "src" / "runspan").rglob("*.py"):
        if path.parent.name in {"semconv", "rebuild", "dialects"} or path.name in {"ai_only.py", "attributes.py"}:
            continue  # these read the names of others
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(("gen_ai.", "langchain.run", "langgraph.node")), (
                    f"{path} writes {node.value!r} by hand: give it a constant in semconv/"
                )
