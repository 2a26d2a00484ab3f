"""Which tools were called, against which should have been."""

from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias, get_args

from runspan import semconv
from runspan.arguments import shown
from runspan.testing.recorded_span import RecordedSpan

ToolCall: TypeAlias = tuple[str, Any]
"""The name of a tool and its arguments, None where content is not recorded."""
Order: TypeAlias = Literal["strict", "unordered", "subset", "superset"]

_FAILED: Final[dict[Order, str]] = {
    "strict": "The tools that were called are not the expected ones in their order.",
    "unordered": "The tools that were called are not the expected ones.",
    "subset": "Tools were called that are not among the expected ones.",
    "superset": "Of the expected tools not all were called.",
}


def calls_of_tools(spans: Iterable[RecordedSpan]) -> list[ToolCall]:
    """Return the calls among spans in the order of their start, each once, also where an MCP server traces it too."""
    calls = [span for span in spans if span.is_tool_call and not _is_counted_above(span)]
    calls.sort(key=lambda span: span.span.start_time or 0)
    return [
        (call.attributes.get(semconv.TOOL_NAME, call.name), call.attributes.get(semconv.TOOL_ARGUMENTS))
        for call in calls
    ]


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


def _is_counted_above(span: RecordedSpan) -> bool:
    """Return whether a span that is not LangChain's is the same call as one above it."""
    scope = span.span.instrumentation_scope
    if scope is not None and scope.name == "runspan":
        return False
    name = span.attributes.get(semconv.TOOL_NAME)
    return any(each.is_tool_call and each.attributes.get(semconv.TOOL_NAME) == name for each in span.ancestors())


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
