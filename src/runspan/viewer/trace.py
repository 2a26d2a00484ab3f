"""A trace as the views show it: a tree of spans, a conversation, sums."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import orjson
from opentelemetry.trace import format_span_id, format_trace_id

from runspan import semconv
from runspan.payload.text import text_in
from runspan.rebuild.history import Conversations
from runspan.rebuild.span_data import SpanData
from runspan.recording.recorded_span import RecordedSpan
from runspan.semconv.delivery_names import STARTED
from runspan.viewer.conversation import Conversation
from runspan.viewer.spans import ViewedSpan, iso_time, viewed
from runspan.viewer.timeline import Gap, idle_gaps, mark_critical_path

_LONGEST_LINE: Final = 300  # characters of a question in a list
_USER: Final = "user"
_SAYS_NOTHING: Final[tuple[object, ...]] = (None, "", [], {})


@dataclass(slots=True)
class ViewedTrace:
    """A trace. Times are milliseconds since it began; spans stand in the order of the tree, parents first."""

    id: str
    name: str
    began: str
    """When, as text in UTC."""
    began_ns: int
    duration: float
    spans: list[ViewedSpan]
    messages: list[Any]
    tools: list[Any]
    gaps: list[Gap]
    is_open: bool = False
    service: str = ""
    session: str = ""
    user: str = ""
    question: str = ""
    answer: str = ""
    models: list[str] = field(default_factory=list)
    total: dict[str, float] = field(default_factory=dict)
    currency: str = ""


def traces_of(spans: Iterable[RecordedSpan]) -> list[ViewedTrace]:
    """Return the traces that spans are of, the latest first."""
    by_trace: dict[int, list[RecordedSpan]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    return sorted(map(trace_of, by_trace.values()), key=lambda trace: trace.began_ns, reverse=True)


def trace_of(recorded: Sequence[RecordedSpan]) -> ViewedTrace:
    """Return the trace that spans make up; one whose parent is missing is a root.

    Args:
        recorded: one span at least, all of one trace, in any order.
    """
    ordered = _in_tree_order(_with_what_only_began(recorded))
    began_ns = min(span.start_ns for span, _, _ in ordered)
    spans, conversation = _viewed(ordered, began_ns)
    children: list[list[int]] = [[] for _ in spans]
    for index, span in enumerate(spans):
        if span.parent is not None:
            children[span.parent].append(index)
    roots = [index for index, span in enumerate(spans) if span.parent is None]
    _add_totals(spans)
    mark_critical_path(spans, children, roots)
    duration = max(span.start if span.end is None else span.end for span in spans)
    first = spans[0]
    trace = ViewedTrace(
        id=format_trace_id(ordered[0][0].trace_id),
        name=first.name,
        began=iso_time(began_ns),
        began_ns=began_ns,
        duration=duration,
        spans=spans,
        messages=conversation.messages,
        tools=conversation.tools,
        gaps=idle_gaps(spans, children, duration),
        is_open=any(span.end is None for span in spans),
        service=text_in(ordered[0][0].resource.get("service.name")) or "",
        session=_first(spans, semconv.SESSION_ID, semconv.CONVERSATION_ID),
        user=_first(spans, semconv.USER_ID),
        models=sorted({span.model for span in spans if span.model and span.kind == "model"}),
        total=_sum([spans[root].total for root in roots]),
        currency=next((span.currency for span in spans if span.currency), ""),
    )
    trace.question, trace.answer = _question(trace), _answer(trace)
    return trace


_Placed = tuple[RecordedSpan, int | None, int]
"""A span, the index of its parent, how deep it is."""


def _with_what_only_began(recorded: Sequence[RecordedSpan]) -> list[RecordedSpan]:
    """Leave out markers of what has ended since; one of what has not becomes the open span that it speaks of."""
    ended = {span.span_id: span for span in recorded if STARTED not in span.attributes}
    for marker in recorded:
        if STARTED in marker.attributes and marker.parent_id is not None:
            name = marker.name.removesuffix(" started")
            open_span = marker._replace(span_id=marker.parent_id, parent_id=None, name=name, end_ns=0, attributes={})
            ended.setdefault(marker.parent_id, open_span)
    return list(ended.values()) or list(recorded)


def _in_tree_order(recorded: Sequence[RecordedSpan]) -> list[_Placed]:
    ordered = sorted(recorded, key=lambda span: (span.start_ns, -span.end_ns))
    known = {span.span_id for span in ordered}
    below: dict[int | None, list[RecordedSpan]] = {}
    for span in ordered:
        below.setdefault(span.parent_id if span.parent_id in known else None, []).append(span)
    placed: list[_Placed] = []
    while below:  # the roots; then, in a broken recording, cycles of parents
        start = None if None in below else next(iter(below))
        waiting: list[_Placed] = [(span, None, 0) for span in reversed(below.pop(start))]
        while waiting:
            span, parent, depth = waiting.pop()
            index = len(placed)
            placed.append((span, parent, depth))
            waiting += [(child, index, depth + 1) for child in reversed(below.pop(span.span_id, []))]
    return placed


def _viewed(ordered: Sequence[_Placed], began_ns: int) -> tuple[list[ViewedSpan], Conversation]:
    conversation = Conversation()
    histories = Conversations() if any(semconv.HISTORY_SPAN in span.attributes for span, _, _ in ordered) else None
    spans: dict[int, ViewedSpan] = {}
    for index in sorted(range(len(ordered)), key=lambda each: ordered[each][0].start_ns):
        recorded, parent, depth = ordered[index]
        attributes = recorded.attributes
        if histories is not None:
            attributes = histories.whole(recorded.trace_id, format_span_id(recorded.span_id), attributes)
        data = SpanData(recorded.name, attributes, recorded.events, recorded.error)
        span = spans[index] = viewed(recorded, data, began_ns)
        span.parent, span.depth = parent, depth
        conversation.add(index, span, data)
    return [spans[index] for index in range(len(ordered))], conversation


def _add_totals(spans: Sequence[ViewedSpan]) -> None:
    """Add up from the leaves; of a model within a model the outer one counts, as both speak of one request."""
    for span in reversed(spans):
        own: dict[str, float] = {} if span.error is None else {"errors": 1}
        if span.kind in ("model", "tool"):
            own[f"{span.kind}s"] = 1
        span.total = _sum([span.total, own])
        if span.kind in ("model", "embeddings") and span.usage:
            span.total |= {name: span.usage[name] for name in ("input", "output") if name in span.usage}
            span.total |= {} if span.cost is None else {"cost": span.cost}
        if span.parent is not None:
            spans[span.parent].total = _sum([spans[span.parent].total, span.total])


def _sum(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in parts:
        for name, number in part.items():
            found[name] = found.get(name, 0) + number
    return found


def _first(spans: Iterable[ViewedSpan], *names: str) -> str:
    values = (text_in(span.attributes.get(name)) for span in spans for name in names)
    return next(filter(None, values), "")


def _question(trace: ViewedTrace) -> str:
    """Return the last thing that the user said, as the root has it, else the first span that does."""
    root = trace.spans[0]
    for span in trace.spans if root.kind != "graph" or root.received is None else (root,):
        for index in reversed(span.input):
            if trace.messages[index].get("role") == _USER:
                return _line(message_text(trace.messages[index]))
    return _line(_plain_text(root.received))


def _answer(trace: ViewedTrace) -> str:
    root = trace.spans[0]
    for span in [root, *(reversed(trace.spans) if root.kind != "graph" or root.returned is None else ())]:
        if span.output:
            return _line(message_text(trace.messages[span.output[-1]]))
    return _line(_plain_text(root.returned))


def message_text(message: dict[str, Any]) -> str:
    """Return the texts of a message, without calls, reasoning and media."""
    parts = message.get("parts")
    texts = (
        [part.get("content") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
        if isinstance(parts, list)
        else []
    )
    return "\n".join(text for text in texts if isinstance(text, str))


def _plain_text(value: Any) -> str:
    """Return a text as it is, of a message its text, of other objects the names and values that say something."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
    if isinstance(content := value.get("content"), str):
        return content
    telling = {name: each for name, each in value.items() if each not in _SAYS_NOTHING}
    return " · ".join(f"{name}: {_plain_text(each)}" for name, each in telling.items())


def _line(text: str) -> str:
    line = " ".join(text[: 2 * _LONGEST_LINE].split())
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


def summary_of(trace: ViewedTrace) -> dict[str, Any]:
    """Return what a list of traces shows of one."""
    left_out = ("spans", "messages", "tools", "gaps")
    return {each.name: getattr(trace, each.name) for each in fields(trace) if each.name not in left_out}
