"""What a request to a model has beside its messages and its parameters: tools, instructions, a schema."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import PlainAttributes
from runspan.payload.items import Items
from runspan.payload.messages import text_part
from runspan.payload.text import text_at
from runspan.payload.tools import TOOL_KEYS, tool_definitions
from runspan.payload.writer import UNLIMITED, Writer

# Where packages put a schema: OpenAI and those that speak as it does; Ollama and Anthropic; Google.
_FORMATS: Final = ("response_format", "format", "response_schema", "response_json_schema")
# Where LangChain puts it.
_DESCRIBED: Final = "ls_structured_output_format"
_WITHIN: Final = ("json_schema", "schema", "function", "parameters", "input_schema")
_MAX_DEPTH: Final = 4
# Each key that anything of this is read from.
_KEYS: Final = frozenset((*TOOL_KEYS, *_FORMATS, _DESCRIBED, "instructions", "text"))
_SCHEMA_KEYS: Final = ("properties", "$defs", "anyOf", "items", "enum")


def request_content(invocation_params: Any, options: Any = None, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the tools that a model may call, the instructions apart from its messages, and the schema of its answer.

    Args:
        invocation_params: of the model.
        options: of the call, in which LangChain describes structured output.
        write: writes them.
    """
    if _has_none(invocation_params) and _has_none(options):
        return {}
    found = dict(attempt(tool_definitions, invocation_params, write, default={}))
    # OpenAI's Responses API; a system message is one of the messages.
    if instructions := text_at(invocation_params, "instructions"):
        found |= write.json(semconv.SYSTEM_INSTRUCTIONS, Items([text_part(instructions)], note=text_part))
    if schema := attempt(_output_schema, invocation_params, options, default=None):
        found |= write.json(semconv.OUTPUT_SCHEMA, schema)
    return found


def _has_none(source: Any) -> bool:
    """Return whether parameters or options have none of it, as most have not."""
    return source is None or (type(source) is dict and _KEYS.isdisjoint(source))


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
