"""What the views show of a span: plain data, whichever instrumentation recorded it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry.trace import format_span_id, format_trace_id

from runspan import semconv
from runspan.attributes import Attributes, is_count
from runspan.payload import Kind
from runspan.payload.text import text_in
from runspan.rebuild.facts import NAMES, inputs, kind_of, outputs
from runspan.rebuild.span_data import SpanData, count, from_json, number, plain, structure_in, text
from runspan.recording.recorded_span import RecordedSpan
from runspan.semconv.delivery_names import ORIGINAL_SIZE

_LARGEST_EXACT: Final = 2**53  # of integers that JavaScript can hold
_OPERATIONS: Final = {"invoke_agent": "agent", "invoke_workflow": "graph", "embeddings": "embeddings"}
_KINDS: Final = {
    Kind.CHAT: "model",
    Kind.COMPLETION: "model",
    Kind.TOOL: "tool",
    Kind.RETRIEVER: "retriever",
    Kind.PROMPT: "prompt",
    Kind.PARSER: "parser",
    Kind.AGENT: "agent",
    Kind.GRAPH: "graph",
    Kind.CHAIN: "chain",
}
_IN_CONVERSATION: Final = frozenset(
    (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.SYSTEM_INSTRUCTIONS, semconv.TOOL_DEFINITIONS)
)
"""Attributes that the messages of a trace replace."""


@dataclass(slots=True)
class Link:
    """A jump to another span, perhaps of another trace."""

    type: str
    trace: str
    span: str


@dataclass(slots=True)
class ViewedSpan:
    """A span as the views show it. Times are milliseconds since the trace began; an open span has no end."""

    id: str
    name: str
    label: str
    """The name without its operation, which the kind says already."""
    kind: str
    start: float
    end: float | None
    parent: int | None = None
    """The index of its parent among the spans of the trace, which stand in the order of the tree."""
    depth: int = 0
    model: str = ""
    provider: str = ""
    error: str | None = None
    error_type: str = ""
    outcome: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    cost: float | None = None
    currency: str = ""
    first_chunk: float | None = None
    chunks: int | None = None
    attempt: int | None = None
    shortened: int | None = None
    """The bytes that it had before it was shortened to be sent."""
    node: str = ""
    step: int | None = None
    thread_id: str = ""
    checkpoint_id: str = ""
    tool: str = ""
    call_id: str = ""
    links: list[Link] = field(default_factory=list)
    input: list[int] = field(default_factory=list)
    """The messages that it read, as indices into those of the trace."""
    known: int = 0
    """How many of them a call before had read or answered."""
    previous: int | None = None
    """The index of that call."""
    output: list[int] = field(default_factory=list)
    tools: list[int] = field(default_factory=list)
    received: Any = None
    """The arguments of a tool, the query of a retriever, what goes into the rest."""
    returned: Any = None
    is_critical: bool = False
    total: dict[str, float] = field(default_factory=dict)
    """Of the spans below and itself: tokens ``input`` and ``output``, ``cost``, ``errors``, ``models``, ``tools``."""
    scope: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)


def viewed(span: RecordedSpan, data: SpanData, began_ns: int) -> ViewedSpan:
    """Return what is shown of a span; its place in the tree and its messages are still to be found."""
    kind = kind_of(data)
    attributes = data.attributes
    found = ViewedSpan(
        id=format_span_id(span.span_id),
        name=span.name,
        label=span.name.removeprefix(f"{text_in(attributes.get(semconv.OPERATION)) or ''} ") or span.name,
        kind=_kind(kind, attributes),
        start=(span.start_ns - began_ns) / 1e6,
        end=(max(span.end_ns, span.start_ns) - began_ns) / 1e6 if span.end_ns else None,
        model=text(data, NAMES.request_model + NAMES.response_model) or "",
        provider=text(data, NAMES.provider) or "",
        error=span.error,
        error_type=text(data, NAMES.error_type) or "",
        outcome=text_in(attributes.get(semconv.RUN_OUTCOME)) or "",
        node=text_in(attributes.get(semconv.GRAPH_NODE)) or "",
        step=_integer(attributes, semconv.GRAPH_STEP),
        thread_id=text(data, NAMES.thread_id) or "",
        checkpoint_id=text_in(attributes.get(semconv.CHECKPOINT_ID)) or "",
        tool=text(data, NAMES.tool_name) or "",
        call_id=text(data, NAMES.tool_call_id) or "",
        scope=span.scope,
    )
    _add_measures(found, data)
    if kind is not None:
        found.received = _value(inputs(kind, data), attributes, semconv.INPUTS, semconv.INPUTS_TYPE)
        found.returned = _value(outputs(kind, data), attributes, semconv.OUTPUTS, semconv.OUTPUTS_TYPE)
    found.links = [_link(each.trace_id, each.span_id, each.attributes) for each in span.links]
    found.attributes = {name: shown_value(value) for name, value in attributes.items() if name not in _IN_CONVERSATION}
    times = [*span.event_times_ns, *[span.start_ns] * len(span.events)]
    found.events = [
        {"name": name, "at": (at - began_ns) / 1e6, "attributes": shown_value(each)}
        for (name, each), at in zip(span.events, times, strict=False)
    ]
    return found


def shown_value(value: object) -> Any:
    """Return a value as the page can read it: plain JSON without integers that JavaScript would round."""
    if type(value) is str and value.isascii():  # as most are
        return value
    return _exact(plain(value))


def iso_time(nanoseconds: int) -> str:
    """Return a moment as text, in UTC, to the millisecond."""
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):  # a clock that says the year 60,000
        return ""


def _exact(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int():
            return value if abs(value) < _LARGEST_EXACT else str(value)
        case dict():
            return {key: _exact(each) for key, each in value.items()}
        case list():
            return list(map(_exact, value))
        case _:
            return value


def _kind(kind: Kind | None, attributes: Attributes) -> str:
    if operation := _OPERATIONS.get(text_in(attributes.get(semconv.OPERATION)) or ""):
        return operation
    if kind is Kind.CHAIN and attributes.get(semconv.GRAPH_NODE) and attributes.get(semconv.OPERATION) is None:
        return "node"
    return "other" if kind is None else _KINDS[kind]


def _add_measures(found: ViewedSpan, data: SpanData) -> None:
    usage = {
        "input": NAMES.input_tokens,
        "output": NAMES.output_tokens,
        "cached": NAMES.cache_read,
        "written": NAMES.cache_creation,
        "reasoning": NAMES.reasoning,
    }
    counts = {name: count(data, names) for name, names in usage.items()}
    found.usage = {name: number for name, number in counts.items() if number is not None}
    found.cost = _float(number(data, (semconv.COST_AMOUNT, semconv.LANGFUSE_COST)))
    found.currency = text(data, (semconv.COST_CURRENCY,)) or ""
    found.first_chunk = _float(number(data, (semconv.TIME_TO_FIRST_CHUNK,)))
    found.chunks = _integer(data.attributes, semconv.CHUNKS)
    found.attempt = _integer(data.attributes, semconv.ATTEMPT)
    found.shortened = _integer(data.attributes, ORIGINAL_SIZE)


def _value(found: Any, attributes: Attributes, name: str, type_name: str) -> Any:
    recorded = attributes.get(name)
    if recorded is not None:  # as it stands there, before it became LangChain's objects
        return shown_value(recorded if attributes.get(type_name) == "text/plain" else from_json(recorded))
    return None if found is None else shown_value(structure_in(found))


def _link(trace_id: int, span_id: int, attributes: Attributes) -> Link:
    kind = text_in(attributes.get(semconv.LINK_TYPE)) or "link"
    return Link(kind, format_trace_id(trace_id), format_span_id(span_id))


def _integer(attributes: Mapping[str, object], name: str) -> int | None:
    value = attributes.get(name)
    return value if is_count(value) else None


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
