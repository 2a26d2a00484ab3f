"""What a request to a model has beside its messages and its parameters: tools, instructions, a schema."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import PlainAttributes
from runspan.payload.items import Items
from runspan.payload.messages import text_part
from runspan.payload.stored import stored_items
from runspan.payload.text import text_at, text_in
from runspan.payload.tools import TOOL_KEYS, tool_definitions
from runspan.payload.writer import UNLIMITED, Writer

# Where packages put a schema: OpenAI and those that speak as it does; Ollama and Anthropic; Google.
_FORMATS: Final = ("response_format", "format", "response_schema", "response_json_schema")
# Where LangChain puts it.
_DESCRIBED: Final = "ls_structured_output_format"
# Where instructions are apart from the messages: OpenAI's Responses API, Cohere; Anthropic and, in its constructor,
# Bedrock, which take a list, too.
_INSTRUCTIONS: Final = ("instructions", "preamble")
_SYSTEM: Final = "system"
_WITHIN: Final = ("json_schema", "schema", "function", "parameters", "input_schema")
_MAX_DEPTH: Final = 4
# Each key that anything of this is read from.
_KEYS: Final = frozenset((*TOOL_KEYS, *_FORMATS, _DESCRIBED, *_INSTRUCTIONS, _SYSTEM, "text"))
_SCHEMA_KEYS: Final = ("properties", "$defs", "anyOf", "items", "enum")


def request_content(
    invocation_params: Any, options: Any = None, write: Writer = UNLIMITED, constructed: Any = None
) -> PlainAttributes:
    """Return the tools that a model may call, the instructions apart from its messages, and the schema of its answer.

    Args:
        invocation_params: of the model.
        options: of the call, in which LangChain describes structured output.
        write: writes them.
        constructed: what LangChain says of the arguments of the model's constructor.
    """
    if _has_none(invocation_params) and _has_none(options) and _has_none(constructed):
        return {}
    found = dict(attempt(tool_definitions, invocation_params, write, default={}))
    # A system message is one of the messages.
    if instructions := attempt(_instructions, invocation_params, constructed, default=[]):
        found |= write.json(semconv.SYSTEM_INSTRUCTIONS, Items(list(map(text_part, instructions)), note=text_part))
    if schema := attempt(_output_schema, invocation_params, options, default=None):
        found |= write.json(semconv.OUTPUT_SCHEMA, schema)
    return found


def _has_none(source: Any) -> bool:
    """Return whether parameters or options have none of it, as most have not."""
    return source is None or (type(source) is dict and _KEYS.isdisjoint(source))


def _instructions(*sources: Any) -> list[str]:
    for source in sources:
        if text := text_at(source, *_INSTRUCTIONS, _SYSTEM):
            return [text]
        blocks = stored_items(source.get(_SYSTEM)) if isinstance(source, dict) else None
        if texts := [text for block in blocks or () if (text := text_in(block) or text_at(block, "text"))]:
            return texts
    return []


def _output_schema(invocation_params: Any, options: Any) -> Mapping[str, Any] | None:
    described = options.get(_DESCRIBED) if isinstance(options, dict) else None
    params = invocation_params if isinstance(invocation_params, dict) else {}
    text = params.get("text")  # OpenAI's Responses API has the format in it
    sources = (described, *map(params.get, _FORMATS), text.get("format") if isinstance(text, dict) else None)
    return next((schema for each in sources if (schema := _schema_in(each)) is not None), None)


def _schema_in(value: object) -> Mapping[str, Any] | None:
    """Return the JSON schema in what packages wrap around one, or of a class of pydantic; None if there is none."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(value, dict):
            return value.model_json_schema() if isinstance(value, type) and issubclass(value, BaseModel) else None
        if any(key in value for key in _SCHEMA_KEYS):
            return value
        value = next((value[key] for key in _WITHIN if isinstance(value.get(key), dict)), None)
    return None
