"""Which tools were called, against which should have been."""

from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias, get_args

from runspan.arguments import shown

ToolCall: TypeAlias = tuple[str, Any]
"""The name of a tool and its arguments, None where content is not recorded."""
Order: TypeAlias = Literal["strict", "unordered", "subset", "superset"]

_FAILED: Final[dict[Order, str]] = {
    "strict": "The tools that were called are not the expected ones in their order.",
    "unordered": "The tools that were called are not the expected ones.",
    "subset": "Tools were called that are not among the expected ones.",
    "superset": "Of the expected tools not all were called.",
}


def failed_expectation(calls: list[ToolCall], expected: Iterable[str | ToolCall], order: Order) -> str | None:
    """Return a text that says in what calls of tools differ from the expected ones; None if they don't.

    Raises:
        ValueError: if there is no such order.
    """
    if order not in get_args(Order):
        raise ValueError(f"order is {shown(order)}; it must be one of {', '.join(get_args(Order))}.")
    wanted = list(expected)
    if order == "strict":
        is_met = len(calls) == len(wanted) and all(map(_is_same, calls, wanted))
        missing, others = ([], []) if is_met else _unmatched(calls, wanted)
    else:
        missing, others = _unmatched(calls, wanted)
        is_met = (order == "subset" or not missing) and (order == "superset" or not others)
    if is_met:
        return None
    listed = {"expected": wanted, "called": calls, "missing": missing, "not expected": others}
    return "\n".join([_FAILED[order], *(f"  {what}: {each}" for what, each in listed.items() if each)])


def _unmatched(calls: list[ToolCall], wanted: list[str | ToolCall]) -> tuple[list[str | ToolCall], list[ToolCall]]:
    """Return what is wanted and was not called, and what was called and is not wanted, each call counted once."""
    left, missing = list(calls), []
    for each in sorted(wanted, key=lambda item: isinstance(item, str)):  # those with arguments choose first
        found = next((call for call in left if _is_same(call, each)), None)
        if found is None:
            missing.append(each)
        else:
            left.remove(found)
    return missing, left


def _is_same(call: ToolCall, wanted: str | ToolCall) -> bool:
    return call[0] == wanted if isinstance(wanted, str) else call == tuple(wanted)
