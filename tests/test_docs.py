"""The documents that are made from the code."""

import ast
import re
import runpy
from pathlib import Path

from runspan import semconv

ROOT = Path(__file__).parent.parent


def test_the_page_of_names_is_not_stale():
    """docs/telemetry.md is what `make docs` writes."""
    made = runpy.run_path(str(ROOT / "docs" / "make_telemetry.py"))["text"]()
    assert (ROOT / "docs" / "telemetry.md").read_text() == made, "run `make docs`"


def test_every_name_is_written_by_live_spans():
    """No name stands in the table that only recorded spans of others can have."""
    table = {each.name for each in semconv.NAMES}
    code = "".join(
        path.read_text()
        for path in (ROOT / "src" / "runspan").rglob("*.py")
        if path.name != "semconv.py" and "rebuild" not in path.parts
    )
    constants = {name for name, value in vars(semconv).items() if name.isupper() and str(value) in table}
    assert [name for name in constants if not re.search(rf"\b{name}\b", code)] == []


def test_every_name_stands_in_the_table():
    """No name stands in the module of names without its level; no other module writes one of its own."""
    table = {each.name for each in semconv.NAMES}
    constants = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    assert {each for each in constants if each.startswith(("gen_ai.", "langchain.", "langgraph."))} - table == {
        semconv.METADATA,
        semconv.PROMPT_VARIABLE,
    }
    assert len(table) == len(semconv.NAMES)
    for path in (ROOT / "src" / "runspan").rglob("*.py"):
        if (
            path.name == "semconv.py"
            or path.parent.name in {"rebuild", "dialects"}
            or path.name in {"ai_only.py", "attributes.py"}
        ):
            continue  # these read the names of others
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(("gen_ai.", "langchain.run", "langgraph.node")), (
                    f"{path}: {node.value}"
                )
