"""What an installation brings."""

import ast
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from devtools.try_build import EXTRAS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STANDS_FOR = {"opentelemetry-exporter-otlp": "opentelemetry-exporter-otlp-proto-common"}  # it has no code of its own
FOR_US = {"demo", "docs", "lint", "release", "test"}


def imported():
    """Return the modules that the package imports, by their full names."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (each.name for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module


def files_of(name):
    """Return the modules of an installed distribution."""
    return {str(file) for file in distribution(name).files or () if file.suffix == ".py"}


def test_nothing_that_the_core_installs_is_unused():
    """Of each package that runspan depends on a module is imported."""
    modules = {name.replace(".", "/") for name in imported()}
    for requirement in PROJECT["dependencies"]:
        name = re.split(r"[<>=!~]", requirement)[0]
        files = files_of(STANDS_FOR.get(name, name))
        assert any({f"{module}.py", f"{module}/__init__.py"} & files for module in modules), name


def test_every_extra_for_users_is_tried():
    """`make build` installs each extra but those for the development of runspan itself."""
    assert set(EXTRAS) | FOR_US == set(PROJECT["optional-dependencies"])


def test_the_first_page_lists_what_is_installed():
    """Each package that the core needs, and each extra for users, stands on the first page of the documents."""
    page = (ROOT / "docs" / "index.md").read_text()
    needed = [re.split(r"[<>=!~]", each)[0] for each in PROJECT["dependencies"]]
    assert [each for each in needed if each not in page] == []
    assert [each for each in EXTRAS if f"`runspan[{each}]`" not in page] == []


def test_what_others_wrote_comes_with_its_licence():
    """Each script of others has its licence beside it, which the metadata name, too."""
    vendor = ROOT / "src" / "runspan" / "viewer" / "page" / "vendor"
    scripts = list(vendor.glob("*.js"))
    assert scripts
    for script in scripts:
        licence = vendor / f"LICENSE.{script.name.split('.')[0]}.md"
        assert "Permission is hereby granted" in licence.read_text()
        assert str(licence.relative_to(ROOT)) in PROJECT["license-files"]
