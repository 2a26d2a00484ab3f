"""The tools that a model may call, in the shapes of the providers; the calls that it requests, and their results."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import LLMResult

from runspan import semconv
from runspan.attributes import PlainAttributes
from runspan.payload.items import Items
from runspan.payload.stored import stored_items, stored_pairs
from runspan.payload.text import CUT, text_at, text_in
from runspan.payload.writer import UNLIMITED, Writer

_Tool = dict[str, Any]

TOOL_KEYS: Final = ("tools", "functions", "toolConfig")
"""Where a model's parameters have tools: most; OpenAI's older form; Bedrock."""

# Where a function's name, description and parameters stand: OpenAI, Mistral and others; Bedrock.
_WRAPPERS: Final = ("function", "toolSpec")
_DECLARATIONS: Final = ("function_declarations", "functionDeclarations")
_PARAMETERS: Final = ("parameters", "input_schema", "inputSchema", "parameters_json_schema", "parametersJsonSchema")
# ``custom`` is OpenAI's type of a function of free text, and Anthropic's of any function.
_FUNCTION_TYPES: Final = (None, "function", "custom")
# An entry among Bedrock's tools that is none.
_NO_TOOL: Final = "cachePoint"


def tool_definitions(
    invocation_params: Mapping[str, Any] | None, write: Writer = UNLIMITED, *, full: bool = False
) -> PlainAttributes:
    """Return the tools that a model may call, by type and name; nothing if there are none.

    Args:
        invocation_params: of the model.
        write: writes them.
        full: whether descriptions and schemas of parameters are recorded, too; the conventions advise against it, since
            they are long and the same in each call.
    """
    if not isinstance(invocation_params, dict):
        return {}
    tools, functions, config = map(invocation_params.get, TOOL_KEYS)
    in_config = config.get("tools") if isinstance(config, dict) else None
    listed = map(stored_items, (tools, functions, in_config))
    found = next(filter(None, listed), [])
    definitions = list(filter(None, (_definition(tool, full=full) for tool in _flat(found))))
    return write.json(semconv.TOOL_DEFINITIONS, Items(definitions, note=_note)) if definitions else {}


def _note(text: str) -> _Tool:
    return {"type": CUT, "name": text}


def _flat(tools: list[Any]) -> Iterator[_Tool]:
    """Yield each tool; one of Google's may stand for several, each under a key of its own, functions in a list."""
    for tool in tools:
        if not isinstance(tool, dict):
            yield _of_object(tool)
        elif "type" in tool or "name" in tool:
            yield tool
        else:
            for key, value in stored_pairs(tool) or ():
                if key in _DECLARATIONS:
                    yield from filter(_is_dict, stored_items(value) or ())
                elif value is not None and key != _NO_TOOL:
                    yield {key: value}


def _of_object(tool: object) -> _Tool:
    """Return a tool that is a class or a function, where the model's package takes those, or an object of Cohere's."""
    inner = getattr(tool, "function", None) or tool
    read = {key: getattr(inner, key, None) for key in ("name", "description", "parameters")}
    return {
        **{key: value for key, value in read.items() if value},
        "name": read["name"] or getattr(inner, "__name__", None),
    }


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _definition(tool: _Tool, *, full: bool) -> _Tool | None:
    inner = next((tool[key] for key in _WRAPPERS if isinstance(tool.get(key), dict)), tool)
    kind, name = text_at(tool, "type"), text_at(inner, "name")
    if name is None or kind not in _FUNCTION_TYPES:
        return _of_provider(tool, kind, name)
    parameters = next((inner[key] for key in _PARAMETERS if inner.get(key)), None)
    if kind == "custom" and parameters is None:
        return {"type": "custom", "name": name}
    definition: _Tool = {"type": "function", "name": name}
    if full and (description := text_at(inner, "description")):
        definition["description"] = description
    if full and parameters is not None:
        # Bedrock wraps its schema.
        definition["parameters"] = parameters.get("json", parameters) if isinstance(parameters, dict) else parameters
    return definition


def _of_provider(tool: _Tool, kind: str | None, name: str | None) -> _Tool | None:
    """Return a tool that the provider runs: its type alone names it, or its only key (``{"google_search": {}}``)."""
    kind = kind or next((key for key, _ in stored_pairs(tool) or () if type(key) is str and key != "name"), None)
    if kind is None:
        return None
    return {"type": kind, "name": name or text_at(tool, "server_label") or text_at(tool.get(kind), "name") or kind}


def requested_call_ids(response: LLMResult) -> list[str]:
    """Return the ids of the tool calls in a model's response."""
    return [
        call_id
        for batch in response.generations
        for generation in batch
        if isinstance(message := getattr(generation, "message", None), AIMessage)
        for call in message.tool_calls
        if (call_id := text_in(call["id"]))
    ]


def answered_call_ids(messages: Sequence[object]) -> list[str]:
    """Return the ids of the calls whose results a model reads for the first time: its last messages."""
    found: list[str] = []
    for message in reversed(messages):
        if not isinstance(message, ToolMessage):
            break
        found.append(message.tool_call_id)
    return found[::-1]
