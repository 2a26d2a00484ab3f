"""LangGraph's commands, and the hand-offs they make: a run leaves its graph and names who goes on in the parent."""

from collections.abc import Sequence
from typing import Final

from runspan import semconv
from runspan.attributes import PlainAttributes
from runspan.payload.stored import stored_items
from runspan.payload.text import name_in

# How many items of a result are searched for commands and messages; it may be a table of a million rows.
MOST_ITEMS: Final = 100


def is_command(value: object) -> bool:
    """Return whether this is LangGraph's ``Command``; without importing LangGraph."""
    return is_of_langgraph(type(value), "langgraph.types", "Command")


def is_of_langgraph(kind: type, module: str, name: str) -> bool:
    """Return whether a class is one of LangGraph's, or derived from it, without importing LangGraph."""
    return any(base.__name__ == name and base.__module__ == module for base in kind.__mro__)


def handoff(error: BaseException) -> PlainAttributes:
    """Return where a run hands control to that raised LangGraph's ``ParentCommand``: names of nodes, each once."""
    targets = _targets(error.args[0]) if error.args else []
    return {semconv.HANDOFF_TARGETS: targets} if targets else {}


def transfer(output: object) -> PlainAttributes:
    """Return that a tool passes control on, with its target if there is just one; nothing if it returns to its caller.

    Such a tool returns ``Command(graph=Command.PARENT, goto=...)``, also in a list.
    """
    commands = [each for each in first_items(output) if is_command(each) and getattr(each, "graph", None) is not None]
    targets = list(dict.fromkeys(target for command in commands for target in _targets(command)))
    if not targets:
        return {}
    target = {semconv.TRANSFER_TARGET: targets[0]} if len(targets) == 1 else {}
    return {semconv.TRANSFER_MODE: "pass_control", **target}


def first_items(value: object) -> Sequence[object]:
    """Return the first hundred items of a list or tuple; of anything else a tuple with that alone."""
    items = stored_items(value, MOST_ITEMS)
    return items if items is not None else (value,)


def _targets(command: object) -> list[str]:
    """Return the nodes that a command goes to, by name or by a ``Send``, each once."""
    nodes = (getattr(each, "node", each) for each in first_items(getattr(command, "goto", ())))
    return list(dict.fromkeys(name for node in nodes if (name := name_in(node))))
