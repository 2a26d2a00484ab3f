"""Spans as tests see them: within their tree, their attributes parsed."""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode

from runspan import semconv
from runspan.rebuild.span_data import structure_in
from runspan.semconv.operations import MODEL_OPERATIONS


class RecordedSpan:
    """A span of a ``Trace``; never made by hand.

    Attributes:
        span: the span as OpenTelemetry has it.
        name: its name.
        attributes: its attributes, those that hold JSON as lists and dictionaries.
        parent: the span above it, None at the top.
        children: the spans below it, in the order in which they started.

    Example:
        >>> assert trace.first("chat*").attributes["gen_ai.request.model"] == "gpt-5"
    """

    def __init__(self, span: ReadableSpan) -> None:
        self.span = span
        self.name = span.name
        self.attributes: dict[str, Any] = {name: structure_in(each) for name, each in (span.attributes or {}).items()}
        self.parent: RecordedSpan | None = None
        self.children: list[RecordedSpan] = []

    def __repr__(self) -> str:
        return f"<RecordedSpan {self.name!r}>"

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.span.end_time is None

    @property
    def is_error(self) -> bool:
        """Whether its status is an error."""
        return self.span.status.status_code is StatusCode.ERROR

    @property
    def is_model_call(self) -> bool:
        """Whether it is the call of a model."""
        return self.attributes.get(semconv.OPERATION) in MODEL_OPERATIONS

    @property
    def is_tool_call(self) -> bool:
        """Whether it is the call of a tool."""
        return self.attributes.get(semconv.OPERATION) == "execute_tool"

    @property
    def outcome(self) -> str | None:
        """How its run ended if not as usual, such as ``cancelled``, ``abandoned``, ``interrupted``; else None."""
        return self.attributes.get(semconv.RUN_OUTCOME)

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is open."""
        if self.span.start_time is None or self.span.end_time is None:
            return None
        return (self.span.end_time - self.span.start_time) / 1e9

    def ancestors(self) -> "Iterator[RecordedSpan]":
        """Return the spans above it, the nearest first."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent

    def descendants(self) -> "Iterator[RecordedSpan]":
        """Return the spans below it, each before those below that one."""
        for child in self.children:
            yield child
            yield from child.descendants()


def is_match(span: RecordedSpan, name: str, has: str | Mapping[str, object], within: str | RecordedSpan | None) -> bool:
    """Return whether a span is one that ``Trace.find`` looks for."""
    if not fnmatchcase(span.name, name) or not _has(span, has):
        return False
    if within is None:
        return True
    return any(
        fnmatchcase(above.name, within) if isinstance(within, str) else above.span is within.span
        for above in span.ancestors()
    )


def trees_of(spans: Iterable[ReadableSpan]) -> list[RecordedSpan]:
    """Return the spans at the top, with all others below them, in the order in which they started."""
    recorded = {_key(span.context): RecordedSpan(span) for span in sorted(spans, key=lambda each: each.start_time or 0)}
    roots: list[RecordedSpan] = []
    for each in recorded.values():
        each.parent = recorded.get(_key(each.span.parent))
        (roots if each.parent is None else each.parent.children).append(each)
    return roots


def _key(context: SpanContext | None) -> tuple[int, int]:
    return (context.trace_id, context.span_id) if context is not None else (0, 0)


def _has(span: RecordedSpan, wanted: str | Mapping[str, object]) -> bool:
    if isinstance(wanted, str):
        return not wanted or wanted in span.attributes
    missing = object()
    return all(_is_as_wanted(span.attributes.get(each, missing), value) for each, value in wanted.items())


def _is_as_wanted(value: object, wanted: object) -> bool:
    if isinstance(value, tuple):
        value = list(value)
    return value == (list(wanted) if isinstance(wanted, tuple) else wanted)
