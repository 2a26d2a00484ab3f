"""Traces that tests of the page look at."""

import json

from playwright.sync_api import expect

from runspan import semconv
from tests.recorded import link, model_call, recorded, text

CALL = {
    "role": "assistant",
    "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Rome"}}],
}
RESULT = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "sunny"}]}
QUESTION, SYSTEM = text("user", "Weather in **Rome**?"), text("system", "Be brief.")
ANSWER = text("assistant", "# Sunny\n\n- warm\n- dry\n\n[more](https://weather.example)")
DEFINITION = [{"type": "function", "name": "weather", "description": "Look outside.", "parameters": {"type": "object"}}]
NODE = {"langchain.run.type": "chain", "langgraph.node": "model", "langgraph.step": 1}


def agent_trace(**fields):
    """An agent that calls a model, a tool, and the model again."""
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": "thread-7", "session.id": "thread-7"}
    tools = {"gen_ai.tool.definitions": json.dumps(DEFINITION)}
    usage = {"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 34, "gen_ai.usage.cost.amount": 0.02}
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.call.arguments": '{"city": "Rome"}',
        "gen_ai.tool.call.result": "sunny",
    }
    return [
        recorded(1, name="invoke_agent helper", end=10_000, attributes=agent, **fields),
        recorded(2, 1, "model", end=1000, attributes=NODE, **fields),
        recorded(
            3, 2, "chat m-1", end=1000, attributes=model_call([SYSTEM, QUESTION], [CALL], **tools, **usage), **fields
        ),
        recorded(
            4,
            1,
            "tools",
            start=1000,
            end=2000,
            attributes={**NODE, "langgraph.node": "tools", "langgraph.step": 2},
            **fields,
        ),
        recorded(
            5, 4, "execute_tool weather", start=1000, end=2000, attributes=tool, links=[link(3, "asked_by")], **fields
        ),
        recorded(6, 1, "model", start=9000, end=10_000, attributes={**NODE, "langgraph.step": 3}, **fields),
        recorded(
            7,
            6,
            "chat m-1",
            start=9000,
            end=10_000,
            attributes=model_call([SYSTEM, QUESTION, CALL, RESULT], [ANSWER], **tools, **usage),
            links=[link(5, "reads")],
            **fields,
        ),
    ]


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "![x](https://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "<a href='javascript:alert(1)'>x</a>",
    "{{policy}} {{scripts}} ${alert(1)} `",
    "\u202e\u2028\u2029\x00\x1b[31m",
    "__proto__",
    '"><iframe src=https://evil.example></iframe>',
]


# What spans say by attributes, and of which kinds they are.
ATTRIBUTES = [each for name, each in vars(semconv).items() if name.isupper() and isinstance(each, str) and "." in each]
OPERATIONS = ("chat", "embeddings", "execute_tool", "invoke_agent", "invoke_workflow", "retrieval")


def hostile_traces():
    """Two traces with hostile texts in every place that a span has, and in every attribute of each kind."""
    evil = "\n\n".join(HOSTILE)
    tool = {"name": evil, "description": evil, "parameters": {evil: evil}}
    medium = {"type": "blob", "mime_type": "text/html", "content": "PHNjcmlwdD4="}
    picture = {"type": "uri", "modality": "image", "uri": "https://evil.example/x.png"}
    message = {
        "role": evil,
        "name": evil,
        "parts": [{"type": "text", "content": evil}, medium, picture, {"type": evil}],
    }
    attributes = model_call(
        [message, text("user", evil)],
        [
            text("assistant", evil),
            {**CALL, "parts": [{"type": "tool_call", "id": evil, "name": evil, "arguments": evil}]},
        ],
        **{"gen_ai.tool.definitions": json.dumps([tool]), "session.id": evil, "user.id": evil, evil: evil},
        **{"gen_ai.request.model": evil, "langchain.run.outcome": evil, "error.type": evil, "gen_ai.agent.name": evil},
    )
    node = {**NODE, "langgraph.node": evil, "input.value": evil, "output.value": f'{{"__proto__": {json.dumps(evil)}}}'}
    return [
        recorded(
            1, name=evil, attributes={"gen_ai.operation.name": "invoke_workflow"}, resource={"service.name": evil}
        ),
        recorded(2, 1, evil, attributes=node, error=evil, events=[(evil, {evil: evil})], links=[link(9, evil, 77)]),
        recorded(3, 2, evil, attributes=attributes, error=evil, scope=evil),
        *(
            recorded(10 + at, 2, evil, attributes={**dict.fromkeys(ATTRIBUTES, evil), "gen_ai.operation.name": each})
            for at, each in enumerate(OPERATIONS)
        ),
        recorded(4, name=evil, trace_id=8, start=50, end=60, attributes={"input.value": evil}),
    ]


def expect_chosen(page, name):
    """Check which span is shown."""
    expect(page.locator(".detail h2")).to_have_text(name)
