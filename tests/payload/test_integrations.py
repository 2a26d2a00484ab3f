"""What LangChain's packages for providers hand over, by facts that `make integrations` records from the real ones."""

import json
import re
from pathlib import Path

import pytest

from runspan.payload import Kind, model_start
from runspan.payload.constructed import constructor_arguments, server
from tests.fakes import SyncModel

FACTS = json.loads((Path(__file__).parent.parent / "data" / "integrations.json").read_text())
PARAMETERS = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "stop_sequences",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "choice.count",
)
SERVED_BY = {
    "AzureChatOpenAI": "azure.ai.openai",
    "BedrockLLM (Titan)": "aws.bedrock",
    "ChatAnthropic": "anthropic",
    "ChatBedrock": "aws.bedrock",
    "ChatBedrock (Llama)": "aws.bedrock",
    "ChatBedrockConverse": "aws.bedrock",
    "ChatCohere": "cohere",
    "ChatDeepSeek": "deepseek",
    "ChatFireworks": "fireworks",
    "ChatGoogleGenerativeAI": "gcp.gen_ai",
    "ChatGroq": "groq",
    "ChatLiteLLM": "litellm",
    "ChatMistralAI": "mistral_ai",
    "ChatNVIDIA": "nvidia",
    "ChatOllama": "ollama",
    "ChatOpenAI": "openai",
    "ChatOpenRouter": "openrouter",
    "ChatPerplexity": "perplexity",
    "ChatTogether": "together",
    "ChatVertexAI": "gcp.vertex_ai",
    "ChatXAI": "x_ai",
    "HuggingFaceEndpoint": "huggingface",
    "OllamaLLM": "ollama",
    "OpenAI": "openai",
}


def started(fact):
    """Return the attributes of a call of a model, as recorded."""
    model = SyncModel()
    vars(model).update(fact["fields"])
    event = dict(fact["event"])
    constructed = constructor_arguments(event["serialized"], lambda: model)
    return model_start(Kind(event.pop("kind")), constructed=constructed, **event).attributes


def test_enough_integrations_are_recorded():
    """There are facts of at least 17 packages, and 9 parameters are asked for; they hold nothing of a machine."""
    assert len({fact["package"] for fact in FACTS.values()}) >= 17
    assert not re.search(r"object at 0x|/lib/python|\brepr\b", json.dumps(FACTS))
    assert {name for fact in FACTS.values() for name in fact["asked"]} == {*PARAMETERS, "server"}


@pytest.mark.parametrize("name", FACTS)
def test_every_parameter_that_a_model_was_given(name):
    """What a model's constructor was given is on the span under the convention's name, and nothing else is."""
    attributes = started(FACTS[name])
    asked = dict(FACTS[name]["asked"])
    address = asked.pop("server", None)
    found = {each: attributes.get(f"gen_ai.request.{each}") for each in PARAMETERS}
    assert {each: value for each, value in found.items() if value is not None} == asked
    told = attributes.get("server.address"), attributes.get("server.port")
    assert told == (("127.0.0.1", 9) if address else (None, None))


@pytest.mark.parametrize("name", FACTS)
def test_every_provider(name):
    """The provider has the convention's name, and the model is known."""
    attributes = started(FACTS[name])
    assert attributes.get("gen_ai.provider.name") == SERVED_BY[name]
    assert attributes.get("gen_ai.request.model") or name == "HuggingFaceEndpoint"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"base_url": "https://models.example.com/v1"}, ("models.example.com", 443)),
        ({"base_url": "http://models.example.com"}, ("models.example.com", 80)),
        ({"openai_api_base": "https://user:secret@models.example.com:8443/v1"}, ("models.example.com", 8443)),
        ({"api_endpoint": "europe-aiplatform.example.com"}, ("europe-aiplatform.example.com", 443)),
        ({"endpoint_url": "unix:///run/model.sock"}, (None, None)),
        ({"base_url": "http://[::1]:11434"}, ("::1", 11434)),
        ({"base_url": "http://[::1"}, (None, None)),
        ({"base_url": "http://host:99999"}, (None, None)),
        ({"base_url": ""}, (None, None)),
        ({"base_url": 5, 5: "x"}, (None, None)),
        (None, (None, None)),
    ],
)
def test_address_and_port(source, told):
    """Address and port are those of the URL, without names and passwords in it; what is no URL has none."""
    found = server(None, source)
    assert (found.get("server.address"), found.get("server.port")) == told
    assert "secret" not in str(found)
