"""Which calls of tools a model asks for, and which answers to them it reads."""

from collections.abc import Iterator, Sequence

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import LLMResult

from runspan.payload.text import text_in


def calls_asked(response: LLMResult) -> list[str]:
    """Return the ids of the calls of tools in a model's answer."""
    found = (text_in(call["id"]) for message in _answers(response) for call in message.tool_calls)
    return [call_id for call_id in found if call_id]


def calls_answered(messages: Sequence[object]) -> list[str]:
    """Return the ids of the calls whose results a model reads for the first time: its last messages."""
    found: list[str] = []
    for message in reversed(messages):
        if not isinstance(message, ToolMessage):
            break
        found.append(message.tool_call_id)
    return found[::-1]


def _answers(response: LLMResult) -> Iterator[AIMessage]:
    for batch in response.generations:
        for generation in batch:
            message = getattr(generation, "message", None)
            if isinstance(message, AIMessage):
                yield message
