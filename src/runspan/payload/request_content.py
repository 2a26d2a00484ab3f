"""What a request to a model has beside its messages and its parameters: tools, instructions."""

from typing import Any

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import PlainAttributes
from runspan.payload.serialize import to_json
from runspan.payload.text import text_at
from runspan.payload.tools import tool_definitions


def request_content(invocation_params: Any) -> PlainAttributes:
    """Return the tools that a model may call, and the instructions that it is given apart from its messages."""
    tools = attempt(tool_definitions, invocation_params, default={})
    # OpenAI's Responses API; a system message is one of the messages.
    instructions = text_at(invocation_params, "instructions")
    if instructions is None:
        return tools
    return {**tools, semconv.SYSTEM_INSTRUCTIONS: to_json([{"type": "text", "content": instructions}])}
