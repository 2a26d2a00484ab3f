"""The tools that models may call, as the packages of providers give them."""

import json
from types import SimpleNamespace

import pytest

from runspan.payload.tools import tool_definitions

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
SAID = {"name": "weather", "description": "Tells the weather."}
FULL = {"type": "function", **SAID, "parameters": SCHEMA}


def told(invocation_params, **how):
    """Return the definitions as they are written to a span."""
    attributes = tool_definitions(invocation_params, **how)
    assert list(attributes) == ["gen_ai.tool.definitions"]
    return json.loads(attributes["gen_ai.tool.definitions"])


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"tools": [{"type": "function", "function": {**SAID, "parameters": SCHEMA}}]}, id="openai-chat"),
        pytest.param({"tools": [{"type": "function", **SAID, "parameters": SCHEMA}]}, id="openai-responses"),
        pytest.param({"functions": [{**SAID, "parameters": SCHEMA}]}, id="openai-former"),
        pytest.param({"tools": [{**SAID, "input_schema": SCHEMA}]}, id="anthropic"),
        pytest.param({"tools": [{"type": "custom", **SAID, "input_schema": SCHEMA}]}, id="anthropic-custom"),
        pytest.param({"tools": [{"function_declarations": [{**SAID, "parameters": SCHEMA}]}]}, id="gemini"),
        pytest.param(
            {"tools": [{"functionDeclarations": [{**SAID, "parametersJsonSchema": SCHEMA}]}]}, id="gemini-camel-case"
        ),
        pytest.param(
            {"tools": [{"toolSpec": {**SAID, "inputSchema": {"json": SCHEMA}}}, {"cachePoint": {"type": "default"}}]},
            id="bedrock",
        ),
        pytest.param(
            {"toolConfig": {"tools": [{"toolSpec": {**SAID, "inputSchema": {"json": SCHEMA}}}]}}, id="converse"
        ),
    ],
)
def test_functions(given):
    """A function is told by type and name; with description and parameters only on request."""
    assert told(given) == [{"type": "function", "name": "weather"}]
    assert told(given, full=True) == [FULL]


@pytest.mark.parametrize(
    ("tool", "definition"),
    [
        ({"type": "web_search"}, {"type": "web_search", "name": "web_search"}),
        (
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "web_search_20250305", "name": "web_search"},
        ),
        (
            {"type": "mcp", "server_label": "shelf", "server_url": "https://example.com"},
            {"type": "mcp", "name": "shelf"},
        ),
        ({"type": "custom", "name": "shell", "format": {"type": "text"}}, {"type": "custom", "name": "shell"}),
        ({"google_search": {}}, {"type": "google_search", "name": "google_search"}),
        ({"systemTool": {"name": "nova_grounding"}}, {"type": "systemTool", "name": "nova_grounding"}),
        (len, {"type": "function", "name": "len"}),
        (
            SimpleNamespace(type="function", function=SimpleNamespace(name="add", description="Add.", parameters={})),
            {"type": "function", "name": "add", "description": "Add."},
        ),
    ],
)
def test_tools_that_are_no_functions_of_ours(tool, definition):
    """What the provider runs itself is told by its own type; each tool has a type and a name."""
    assert told({"tools": [tool]}, full=True) == [definition]


@pytest.mark.parametrize(
    "params", [None, {}, {"tools": None}, {"tools": []}, {"tools": "x"}, {"tools": [{}, None]}, {"toolConfig": 5}]
)
def test_no_tools(params):
    """Without tools there is no attribute."""
    assert tool_definitions(params) == {}
