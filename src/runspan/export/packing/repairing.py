"""Spans that OTLP can't express, as ones that it can."""

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import AnyValue

# Protobuf reads 100 messages within each other; a list in a list is two of them.
_DEEPEST: Final = 40
_LARGEST: Final = 2**63

_Attributes = Mapping[str, AnyValue] | None


def repaired(span: ReadableSpan) -> ReadableSpan:
    """Return a copy whose texts are UTF-8 and whose values are of OTLP's types; its times and ids are not looked at."""
    description = span.status.description
    return ReadableSpan(
        name=_text(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=[Event(_text(event.name), _attributes(event.attributes), event.timestamp) for event in span.events],
        links=[Link(link.context, _attributes(link.attributes)) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, _text(description) if description else None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(attributes: _Attributes) -> dict[str, AnyValue]:
    return {_text(key): _value(value, 1) for key, value in (attributes or {}).items()}


def _value(value: AnyValue, depth: int) -> AnyValue:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping | Sequence) and not isinstance(value, bytes):
        return _structure(value, depth) if depth < _DEEPEST else "… [nested too deep]"
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return str(value)
    return value if value is None or isinstance(value, int | float | bytes) else f"<{type(value).__name__}>"


def _structure(value: Mapping[str, AnyValue] | Sequence[AnyValue], depth: int) -> AnyValue:
    if isinstance(value, Mapping):
        return {_text(key): _value(each, depth + 1) for key, each in value.items()}
    return [_value(each, depth + 1) for each in value]


def _text(text: object) -> str:
    """Replace the halves of characters that stand alone, and join those that don't, by way of UTF-16."""
    if not isinstance(text, str):
        return f"<{type(text).__name__}>"
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
