"""A model that can add, its tokenizer, and scripts that take its place."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeAlias

import orjson

from devtools.anthropic_server.messages import Answer, Failure, Json, Usage

Script: TypeAlias = Callable[[Json], Answer | Failure]

# Possessive, and never from the middle of a number: a question may be a megabyte of digits.
_NUMBER = r"(-?(?<![\d.])\d++(?:\.\d++)?)"
_SUM = re.compile(rf"{_NUMBER}\s*+\+\s*+{_NUMBER}")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_REQUEST_FRAME_TOKENS = 10
_ANSWER_FRAME_TOKENS = 4
_USED_UP = Failure(400, "AnthropicServer has no scripted answer left; give it more in `answers`")


def add(body: Json) -> Answer:
    """Answer `What is 1 + 2?` with `1 + 2 = 3`, and anything else with a sentence."""
    question = [text_of(message["content"]) for message in body["messages"] if message["role"] == "user"][-1]
    if found := _SUM.search(question):
        a, b = found.groups()
        return Answer(f"{a} + {b} = {Decimal(a) + Decimal(b)}")
    return Answer("I can add two numbers. Ask me what 1 + 2 is.")


def in_turn(answers: Iterable[Answer | Failure]) -> Script:
    """Make a script that gives each answer once."""
    remaining = iter(answers)
    return lambda _body: next(remaining, _USED_UP)


def estimate(body: Json, answer: Answer) -> Usage:
    """Count the tokens of a request and its answer, see `count`."""
    uses = [_dump([use.name, use.input]) for use in answer.tool_uses]
    said = sum(map(count, [answer.text, answer.thinking, *uses]))
    thinking_tokens = count(answer.thinking) if answer.thinking else None
    return Usage(count_request(body), _ANSWER_FRAME_TOKENS + said, thinking_tokens=thinking_tokens)


def count_request(body: Json) -> int:
    """Count the tokens of system prompt, messages and tools, and ten for the frame."""
    contents = [body.get("system") or "", *(message["content"] for message in body["messages"])]
    tools = map(_dump, body.get("tools") or [])
    return _REQUEST_FRAME_TOKENS + sum(map(count, [*map(text_of, contents), *tools]))


def count(text: str) -> int:
    """Count each word and each sign as a token."""
    return len(_TOKEN.findall(text))


def text_of(content: str | list[Json]) -> str:
    """Return the text of a message's content; blocks of other kinds count with their JSON."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text") or _dump(block) for block in content)


def _dump(value: Json | list[Any]) -> str:
    return orjson.dumps(value).decode()
