"""Traces as text without ids: a line for each span, indented by two below its parent."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import orjson

from runspan.testing.recorded_span import RecordedSpan


def tree_text(
    spans: Sequence[RecordedSpan],
    *,
    times: bool = False,
    attributes: Sequence[str] = (),
    links: bool = False,
    sort: bool = False,
) -> str:
    """Return spans and those below them as ``RecordedTrace.tree`` does."""
    names = _names_in(spans) if links else None
    return "\n".join(_lines(spans, partial(_line, times=times, attributes=attributes, names=names), sort=sort))


def _lines(spans: Iterable[RecordedSpan], line: Callable[[RecordedSpan], str], *, sort: bool) -> Iterator[str]:
    """Yield what ``line`` returns for each span, indented."""
    blocks = [[line(span), *(f"  {below}" for below in _lines(span.children, line, sort=sort))] for span in spans]
    for block in sorted(blocks) if sort else blocks:
        yield from block


def _line(span: RecordedSpan, *, times: bool, attributes: Sequence[str], names: Mapping[int, str] | None) -> str:
    parts = [" ".join(span.name.split())]
    parts += [f"{name}={_value(span.attributes[name])}" for name in attributes if name in span.attributes]
    marks = [span.outcome, "error" if span.is_error else None, "open" if span.is_open else None]
    parts += [f"[{mark}]" for mark in marks if mark]
    if times and span.seconds is not None:
        parts.append(f"{span.seconds * 1000:.1f} ms")
    if names is not None and span.span.links:
        parts.append(f"-> {', '.join(names.get(link.context.span_id, 'elsewhere') for link in span.span.links)}")
    return " ".join(parts)


def _names_in(spans: Iterable[RecordedSpan]) -> dict[int, str]:
    """Return the names of spans and of those below them, by their ids."""
    everything = (each for span in spans for each in (span, *span.descendants()))
    return {each.span.context.span_id: each.name for each in everything if each.span.context is not None}


def _value(value: object) -> str:
    return value if isinstance(value, str) and " " not in value else orjson.dumps(value, default=str).decode()
