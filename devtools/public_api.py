"""Writes tests/data/public_api.txt, the names and signatures that users build on: ``make api``.

They are read from the source, where an annotation is the same with every Python and every version of what we need.
"""
# ruff: noqa: INP001  a script

import ast
import inspect
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import runspan
import runspan.testing

TARGET: Final = Path(__file__).parent.parent / "tests" / "data" / "public_api.txt"

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def text() -> str:
    """Return a line for each public name of the package, and one for each public member of a class."""
    listed = [(name, getattr(runspan, name)) for name in runspan.__all__]
    listed += [(f"testing.{name}", getattr(runspan.testing, name)) for name in runspan.testing.__all__]
    return "".join(f"{line}\n" for name, value in listed for line in _lines(name, value))


def _lines(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        members = dict(_members(value))
        yield f"class {name}{members.pop('__init__', '')}"
        yield from (f"    {members[member]}" for member in sorted(members))
    elif callable(value):
        yield f"def {name}{_signature(_definition(value), value.__module__)}"
    else:
        yield f"{name}: {type(value).__name__}"


def _members(owner: type) -> Iterator[tuple[str, str]]:
    """Yield the members that our own classes define, those of a base before those of what is derived from it."""
    for each in reversed(owner.__mro__):
        if not each.__module__.startswith("runspan"):
            continue
        for node in _definition(each).body:
            if isinstance(node, _Function):
                yield from _described_method(node, each.__module__)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id, ast.unparse(_expanded(node, each.__module__))


def _described_method(node: _Function, module: str) -> Iterator[tuple[str, str]]:
    signature = _signature(node, module, is_method=True)
    if node.name == "__init__":
        # Of a constructor with ``**values`` the fields are the arguments.
        yield node.name, "" if node.args.kwarg else signature.removesuffix(" -> None")
        yield from ((name, f"attribute {name}") for name in _attributes(node) if not name.startswith("_"))
    elif not node.name.startswith("_"):
        yield node.name, f"{_keyword(node)} {node.name}{signature}"


def _keyword(node: _Function) -> str:
    if any(ast.unparse(each) == "property" for each in node.decorator_list):
        return "property"
    return "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"


def _attributes(constructor: _Function) -> Iterator[str]:
    for node in ast.walk(constructor):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def _signature(node: _Function, module: str, *, is_method: bool = False) -> str:
    node = _expanded(node, module)
    if is_method:
        del (node.args.posonlyargs or node.args.args)[0]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(node.args)}){returns}"


def _definition(value: Any) -> Any:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


def _expanded(node: Any, module: str) -> Any:
    """Write out the names of literal types, so that a choice that is added or taken away shows."""
    return _Expand(vars(sys.modules[module])).visit(node)


class _Expand(ast.NodeTransformer):
    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self._names.get(node.id)
        if typing.get_origin(value) is typing.Literal:
            return ast.parse(f"Literal{list(typing.get_args(value))}", mode="eval").body
        return node


if __name__ == "__main__":
    TARGET.write_text(text())
