"""Attributes of a call: on every span of its invocation, whoever makes it, and by choice in the baggage."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.util.types import AttributeValue

from runspan.arguments import shown
from runspan.attributes import is_int64
from runspan.payload.text import clean
from runspan.runs.baggage import MOST_BYTES, MOST_BYTES_OF_PAIR, MOST_PAIRS, Pairs, encoded

_SCALARS: Final = (str, bool, int, float)
_TOKEN_CHARACTERS: Final = frozenset("!#$%&'*+-.^_`|~")


class InvocationAttributes(SpanProcessor):
    """Sets the same attributes on each span that starts in its scope, over those that it started with."""

    def __init__(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._attributes = attributes

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  the interface
        """Set the attributes."""
        span.set_attributes(self._attributes)


def checked_attributes(attributes: object) -> dict[str, AttributeValue]:
    """Return the attributes of a call.

    Raises:
        TypeError: if they are no dictionary of names and values that spans take; it names the value.
        ValueError: if an integer has more than 64 bits.
    """
    if not isinstance(attributes, Mapping):
        raise TypeError(f'attributes is {shown(attributes)}; give a dictionary, such as {{"tenant": "acme"}}.')
    for name, value in attributes.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"attributes has {shown(name)} for a name; names are texts that are not empty.")
        values = value if isinstance(value, list | tuple) else [value]
        if not all(type(each) in _SCALARS for each in values) or len({type(each) for each in values}) > 1:
            raise TypeError(
                f"attributes[{name!r}] is {shown(value)}; give a text, a number, a bool, or a list of one of these."
            )
        if not all(is_int64(each) for each in values if type(each) is int):
            raise ValueError(f"attributes[{name!r}] is {shown(value)}; OpenTelemetry holds integers of 64 bits.")
    return {clean(name): _encodable(value) for name, value in attributes.items()}


def _encodable(value: Any) -> Any:
    """Return a value without halves of characters, for which an exporter would lose a whole batch of spans."""
    if isinstance(value, list | tuple):
        return list(map(_encodable, value))
    return clean(value) if isinstance(value, str) else value


def checked_baggage(names: object, attributes: Mapping[str, AttributeValue]) -> Pairs:
    """Return the attributes that go into the baggage, as names and texts.

    Raises:
        TypeError: if the names are no list of texts.
        ValueError: if one is no attribute, a name or value can't be baggage, or they exceed W3C's limits.
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TypeError(f'propagate is {shown(names)}; give a list of names among attributes, such as ["tenant"].')
    pairs = tuple((name, _text(name, attributes)) for name in dict.fromkeys(names))
    sizes = [len(encoded(*pair)) for pair in pairs]
    if len(pairs) > MOST_PAIRS or sum(sizes) + len(sizes) > MOST_BYTES or max(sizes, default=0) > MOST_BYTES_OF_PAIR:
        raise ValueError(
            f"propagate has {len(pairs)} attributes of {sum(sizes)} bytes; W3C Baggage takes at most {MOST_PAIRS} of"
            f" {MOST_BYTES} bytes, each of {MOST_BYTES_OF_PAIR}. Propagate fewer or shorter ones."
        )
    return pairs


def _text(name: object, attributes: Mapping[str, AttributeValue]) -> str:
    if not isinstance(name, str) or name not in attributes:
        raise ValueError(f"propagate names {shown(name)}, which is none of attributes: {', '.join(attributes)}.")
    if any(not (each.isascii() and each.isalnum()) and each not in _TOKEN_CHARACTERS for each in name):
        raise ValueError(f"propagate names {shown(name)}, which is no key of baggage; use letters, digits, . _ and -.")
    value = attributes[name]
    if not isinstance(value, _SCALARS) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"propagate names {name!r}, which is {shown(value)}; only texts, numbers and bools can be.")
    return str(value).lower() if isinstance(value, bool) else str(value)
