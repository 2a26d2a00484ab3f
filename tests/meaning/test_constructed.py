"""What a model was constructed with is found in the call of a model that LangChain describes by its name alone."""

import asyncio
from typing import Any

import pytest

from tests.fakes import Completion, Model
from tests.tracing import Tracing


class Chat(Model):
    """A chat model whose parameters no event has, as those of Ollama."""

    top_k: int = 40
    base_url: str = "http://models.example.com:11434"
    llm: Any = None


class Text(Completion):
    """A completion model of that kind."""

    num_predict: int = 9


WAYS = {
    "invoke": lambda model, config: model.invoke("?", config),
    "ainvoke": lambda model, config: asyncio.run(model.ainvoke("?", config)),
    "batch": lambda model, config: model.batch(["?"], config),
    "abatch": lambda model, config: asyncio.run(model.abatch(["?"], config)),
}
STREAMS = {
    "stream": lambda model, config: list(model.stream("?", config)),
    "astream": lambda model, config: asyncio.run(_drain(model.astream("?", config))),
}


async def _drain(stream):
    async for _ in stream:
        pass


@pytest.mark.parametrize("way", [*WAYS, *STREAMS])
def test_a_chat_model_is_asked(tracing: Tracing, way):
    """Parameters and server are those of the model that is called, whatever way; the one within it is asked, too."""
    {**WAYS, **STREAMS}[way](Chat(llm=Text()), tracing.config)
    attributes = tracing.one("chat").attributes
    names = "gen_ai.request.top_k", "gen_ai.request.max_tokens", "server.address", "server.port"
    assert [attributes.get(name) for name in names] == [40, 9, "models.example.com", 11434]


# Asynchronously LangChain starts completion models in tasks of their own, where nothing leads to the model.
@pytest.mark.parametrize("way", ["invoke", "batch"])
def test_a_completion_model_is_asked(tracing, way):
    """So are those of completion models."""
    WAYS[way](Text(), tracing.config)
    assert tracing.one("text_completion").attributes["gen_ai.request.max_tokens"] == 9
