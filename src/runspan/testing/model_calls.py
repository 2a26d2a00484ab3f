"""What calls of models used, read and wrote."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from runspan import semconv
from runspan.testing.recorded_span import RecordedSpan


class Tokens(NamedTuple):
    """What calls of models used, each counted once.

    Args:
        input: the number of tokens that they read.
        output: the number of tokens that they wrote.

    Example:
        >>> assert trace.tokens == (120, 14)
    """

    input: int
    output: int


class Message(NamedTuple):
    """A message that a model read or wrote.

    Args:
        role: ``system``, ``user``, ``assistant`` or ``tool``.
        text: its text; calls of tools as ``weather({"city":"Oslo"})``, other parts as ``<image>``.

    Example:
        >>> assert trace.messages()[-1] == ("assistant", "Take a hat.")
    """

    role: str
    text: str


def outermost(spans: Iterable[RecordedSpan]) -> Iterator[RecordedSpan]:
    """Yield the calls of models, without the spans below them that are the same call."""
    for span in spans:
        if span.is_model_call:
            yield span
        else:
            yield from outermost(span.children)


def usage_in(spans: Iterable[RecordedSpan]) -> Iterator[Tokens]:
    """Yield what the calls within spans used, by the span below if that alone says it."""
    for span in outermost(spans):
        used = [span.attributes.get(name) for name in (semconv.INPUT_TOKENS, semconv.OUTPUT_TOKENS)]
        if used == [None, None]:
            yield from usage_in(span.children)
        else:
            yield Tokens(*(count or 0 for count in used))


def messages_in(spans: Iterable[RecordedSpan]) -> list[Message]:
    """Return the messages of the calls within spans; what a later call reads again is there once."""
    seen: Counter[Message] = Counter()
    messages = []
    for span in outermost(spans):
        here: Counter[Message] = Counter()
        for message in _messages_at(span):
            here[message] += 1
            if here[message] > seen[message]:
                seen[message] += 1
                messages.append(message)
    return messages


def _messages_at(span: RecordedSpan) -> Iterator[Message]:
    for name in (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES):
        found = span.attributes.get(name)
        for message in found if isinstance(found, list | tuple) else ():
            match message:  # that of another library may have another form
                case {"role": str(role), "parts": list(parts) | tuple(parts)}:
                    yield Message(role, "".join(_part_text(part) for part in parts if isinstance(part, Mapping)))


def _part_text(part: Mapping[str, Any]) -> str:
    match part:
        case {"type": "text", "content": str(text)}:
            return text
        case {"type": "tool_call", "name": name}:
            return f"{name}({orjson.dumps(part.get('arguments') or {}).decode()})"
        case {"type": "tool_call_response", "response": response}:
            return response if isinstance(response, str) else orjson.dumps(response).decode()
        case _:
            return f"<{part.get('modality') or part.get('type')}>"
