"""Traces as text without ids: a line for each span, indented by two below its parent."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import orjson

from runspan.testing.recorded_span import RecordedSpan


def tree_text(
    spans: Iterable[RecordedSpan], *, times: bool = False, attributes: Sequence[str] = (), sort: bool = False
) -> str:
    """Return spans and those below them as ``Trace.tree`` does."""
    return "\n".join(tree_lines(spans, partial(_line, times=times, attributes=attributes), sort=sort))


def tree_lines(spans: Iterable[RecordedSpan], line: Callable[[RecordedSpan], str], *, sort: bool) -> Iterator[str]:
    """Yield what ``line`` returns for each span, indented."""
    blocks = [[line(span), *(f"  {below}" for below in tree_lines(span.children, line, sort=sort))] for span in spans]
    for block in sorted(blocks) if sort else blocks:
        yield from block


def _line(span: RecordedSpan, *, times: bool, attributes: Sequence[str]) -> str:
    parts = [" ".join(span.name.split())]
    parts += [f"{name}={_value(span.attributes[name])}" for name in attributes if name in span.attributes]
    marks = [span.outcome, "error" if span.is_error else None, "open" if span.is_open else None]
    parts += [f"[{mark}]" for mark in marks if mark]
    if times and span.seconds is not None:
        parts.append(f"{span.seconds * 1000:.1f} ms")
    return " ".join(parts)


def _value(value: object) -> str:
    return value if isinstance(value, str) and " " not in value else orjson.dumps(value, default=str).decode()
