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


class AzureText(Completion):
    """A completion model as LangChain describes Azure's: by a deployment, and by the default of a class."""

    @property
    def _identifying_params(self):
        return {"deployment_name": "dep", "model_name": "gpt-3.5-turbo-instruct"}

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "azure"}

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        result = super()._generate(prompts, stop, run_manager, **kwargs)
        return result.model_copy(update={"llm_output": {"model_name": "gpt-3.5-turbo-instruct"}})


def test_a_deployment_of_azure(tracing):
    """A completion model of Azure's is the deployment that is asked; which model served LangChain does not know."""
    AzureText().invoke("?", tracing.config)
    attributes = tracing.one("text_completion dep").attributes
    assert attributes["gen_ai.request.model"] == "dep"
    assert "gen_ai.response.model" not in attributes
