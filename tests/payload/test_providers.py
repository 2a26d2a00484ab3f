"""Who serves a model, by what LangChain tells of it."""

import pytest

from runspan.payload.providers import provider


def told(name, *path, **arguments):
    """Return what LangChain tells of a model of a class."""
    return {"lc": 1, "type": "constructor", "id": [*path, name], "kwargs": arguments, "name": name}


OPENAI = "langchain", "chat_models", "openai"
GOOGLE = "langchain_google_genai", "chat_models"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("openai", "openai"),
        ("openai-codex", "openai"),
        ("openai-mantle", "openai"),
        ("azure", "azure.ai.openai"),
        ("azure_openai", "azure.ai.openai"),
        ("anthropic", "anthropic"),
        ("anthropic-bedrock", "anthropic"),
        ("anthropic-mantle", "anthropic"),
        ("amazon_bedrock", "aws.bedrock"),
        ("bedrock", "aws.bedrock"),
        ("bedrock_converse", "aws.bedrock"),
        ("google_genai", "gcp.gen_ai"),
        ("google_generativeai", "gcp.gemini"),
        ("google_vertexai", "gcp.vertex_ai"),
        ("vertexai", "gcp.vertex_ai"),
        ("mistral", "mistral_ai"),
        ("mistralai", "mistral_ai"),
        ("xai", "x_ai"),
        ("moonshot", "moonshot_ai"),
        ("cohere", "cohere"),
        ("deepseek", "deepseek"),
        ("groq", "groq"),
        ("perplexity", "perplexity"),
        ("ibm", "ibm.watsonx.ai"),
        ("watsonx", "ibm.watsonx.ai"),
        ("Ollama", "ollama"),
        ("my-gateway", "my-gateway"),
    ],
)
def test_a_provider_that_is_named(said, name):
    """A provider has its predefined name, an unknown one its own in lower case, whatever class calls it."""
    assert provider({"ls_provider": said}) == name
    assert provider({"ls_provider": said}, told("Bot", "app"), {"_type": "openai-chat"}) == name


@pytest.mark.parametrize(
    ("serialized", "invocation_params", "name"),
    [
        (told("Bot", *OPENAI), None, "openai"),
        (told("Bot", "langchain", "chat_models", "anthropic"), None, "anthropic"),
        (told("Bot", "langchain", "chat_models", "azure_openai"), None, "azure.ai.openai"),
        (told("Bot", "langchain", "llms", "bedrock"), None, "aws.bedrock"),
        (told("Bot", "langchain_aws", "chat_models"), None, "aws.bedrock"),
        (told("Bot", "langchain_xai", "chat_models"), None, "x_ai"),
        (told("Bot", "app"), {"_type": "anthropic-chat"}, "anthropic"),
        (told("Bot", "app"), {"_type": "openai-chat"}, "openai"),
        (told("Bot", "app"), {"_type": "azure-openai-chat"}, "azure.ai.openai"),
        (told("Bot", "app"), {"_type": "amazon_bedrock_converse_chat"}, "aws.bedrock"),
        (told("Bot", "app"), {"_type": "chat-google-generative-ai"}, "gcp.gen_ai"),
        (told("Bot", "app"), {"_type": "mistralai-chat"}, "mistral_ai"),
        (told("Bot", "app"), {"_type": "xai-chat"}, "x_ai"),
        (told("Bot", "app"), {"_type": "chat-deepseek"}, "deepseek"),
        (told("Bot", "app"), {"_type": "bot"}, None),
        ({"id": ["langchain", 5]}, None, None),
        ({"id": []}, None, None),
        ({}, None, None),
        (None, None, None),
    ],
)
def test_a_provider_that_only_the_class_tells(serialized, invocation_params, name):
    """Where LangChain names none, or makes the name of a class of the user, the class it derives from tells."""
    assert provider({}, serialized, invocation_params) == name
    if serialized == told("Bot", "app") or serialized is None or name is None:
        return
    assert provider({"ls_provider": "bot"}, serialized, invocation_params) == name


def test_the_name_of_a_class_is_better_than_none():
    """A model of the user's own has the name that LangChain makes of its class."""
    assert provider({"ls_provider": "bot"}, told("ChatBot", "app"), {"_type": "bot"}) == "bot"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, "gcp.gen_ai"),
        ({"vertexai": True}, "gcp.vertex_ai"),
        ({"vertexai": False}, "gcp.gemini"),
        ({"vertexai": None}, "gcp.gen_ai"),
        ({"base_url": "https://generativelanguage.googleapis.com"}, "gcp.gemini"),
        ({"base_url": "https://europe-west1-aiplatform.googleapis.com"}, "gcp.vertex_ai"),
    ],
)
def test_google_by_its_endpoint(arguments, name):
    """Google's package speaks to two services; which one is told where the model's arguments do."""
    assert provider({"ls_provider": "google_genai"}, told("ChatGoogleGenerativeAI", *GOOGLE, **arguments)) == name
