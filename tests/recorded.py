"""Recorded spans for tests of views, made by hand or by the scenes of the demo."""

import json
from typing import Any

from runspan.recording.recorded_span import RecordedLink, RecordedSpan

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
BEGAN_NS = 1_795_393_584_000_000_000


def recorded(
    number: int,
    parent: int | None = None,
    name: str = "step",
    *,
    start: float = 0,
    end: float | None = 10,
    **fields: Any,
) -> RecordedSpan:
    """Make a span: its number is its id, times are milliseconds since the trace began, an open one has no end."""
    attributes: dict[str, Any] = fields.pop("attributes", {})
    return RecordedSpan(
        trace_id=fields.pop("trace_id", TRACE_ID),
        span_id=number,
        parent_id=parent,
        name=name,
        scope=fields.pop("scope", "runspan"),
        attributes=attributes,
        events=fields.pop("events", ()),
        error=fields.pop("error", None),
        start_ns=BEGAN_NS + int(start * 1e6),
        end_ns=0 if end is None else BEGAN_NS + int(end * 1e6),
        **fields,
    )


def link(number: int, kind: str, trace_id: int = TRACE_ID) -> RecordedLink:
    """Make a link to the span of a number."""
    return RecordedLink(trace_id, number, {"langchain.link.type": kind})


def text(role: str, content: str) -> dict[str, Any]:
    """Make a message of one text."""
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def model_call(read: list[Any], answered: list[Any], **attributes: Any) -> dict[str, Any]:
    """Make the attributes of a call of a model."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m-1",
        "gen_ai.input.messages": json.dumps(read),
        "gen_ai.output.messages": json.dumps([{**each, "finish_reason": "stop"} for each in answered]),
        **attributes,
    }
