"""Names of model providers: what LangChain calls them, and what the GenAI conventions do."""

import functools
from collections.abc import Mapping
from typing import Any, Final

from runspan import semconv
from runspan.attributes import PlainAttributes
from runspan.payload.stored import stored_items
from runspan.payload.text import name_at

_Mapping = Mapping[str, Any] | None

# The convention names the flavour of the API that is spoken, so Anthropic's and OpenAI's own clients count as theirs,
# also where AWS hosts the model. Names that are not here are passed on in lower case.
_CONVENTIONS: Final = {
    **{
        name: name
        for name in (
            "anthropic",
            "cohere",
            "deepseek",
            "fireworks",
            "groq",
            "ollama",
            "openai",
            "perplexity",
            "together",
        )
    },
    "amazon_bedrock": "aws.bedrock",
    "anthropic-bedrock": "anthropic",
    "anthropic-mantle": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gen_ai",
    "google_generativeai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "openai-codex": "openai",
    "openai-mantle": "openai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
# Packages whose models speak one provider's API. Modules of the package ``langchain`` itself are looked up above.
_PACKAGES: Final = {
    "langchain_anthropic": "anthropic",
    "langchain_aws": "aws.bedrock",
    "langchain_azure_ai": "azure.ai.inference",
    "langchain_cohere": "cohere",
    "langchain_deepseek": "deepseek",
    "langchain_google_genai": "gcp.gen_ai",
    "langchain_google_vertexai": "gcp.vertex_ai",
    "langchain_groq": "groq",
    "langchain_huggingface": "huggingface",
    "langchain_ibm": "ibm.watsonx.ai",
    "langchain_mistralai": "mistral_ai",
    "langchain_ollama": "ollama",
    "langchain_openai": "openai",
    "langchain_perplexity": "perplexity",
    "langchain_xai": "x_ai",
}
# ``_type`` of a model's class, which subclasses inherit, without its prefixes and suffixes.
_TYPES: Final = {
    "amazon_bedrock_converse": "aws.bedrock",
    "azure-openai": "azure.ai.openai",
    "google-generative-ai": "gcp.gen_ai",
    "google_gemini": "gcp.gen_ai",
}
# What the conventions called providers before 1.37.
_LEGACY: Final = {
    "azure.ai.inference": "az.ai.inference",
    "azure.ai.openai": "az.ai.openai",
    "gcp.gemini": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "x_ai": "xai",
}
# Classes of embeddings that are not named as the provider is; all others are, in lower case.
_OF_EMBEDDINGS: Final = {
    "azureai": "azure.ai.inference",
    "azureopenai": "azure_openai",
    "googlegenerativeai": "google_genai",
    "huggingfaceendpoint": "huggingface",
}
_KNOWN: Final = frozenset(_CONVENTIONS.values()) | frozenset(_PACKAGES.values())
_TYPE_SUFFIXES: Final = ("-chat", "_chat", "-llm", "_llm")
_GOOGLE: Final = "gcp.gen_ai"
_ENDPOINT_KEYS: Final = ("base_url", "api_endpoint")


def provider(metadata: Any, serialized: _Mapping = None, invocation_params: _Mapping = None) -> str | None:
    """Return the convention's name for the provider of a model run.

    Args:
        metadata: of the run; its ``ls_provider`` decides, unless LangChain made it of the class name.
        serialized: LangChain's description of the model: the path of its class (subclasses inherit it), its arguments.
        invocation_params: of the model, with its own name for its kind (``_type``).
    """
    name, kind = name_at(metadata, "ls_provider"), name_at(invocation_params, "_type")
    known = _known(name.lower() if name else None, _path(serialized), kind)
    return _google(serialized) if known == _GOOGLE else known


def embeddings_provider(class_name: str | None) -> str | None:
    """Return the convention's name for the provider that a class of embeddings is named after, or that name itself."""
    if not class_name:
        return None
    name = class_name.lower().removesuffix("model").removesuffix("embeddings")
    return provider({"ls_provider": _OF_EMBEDDINGS.get(name, name)})


def retrieval_provider(metadata: _Mapping, serialized: _Mapping) -> str | None:
    """Return who embeds the queries of a retriever, else the provider whose package its class is of."""
    name = embeddings_provider(name_at(metadata, "ls_embedding_provider"))
    # Of other classes, such as a user's, the name says nothing.
    return name if name in _KNOWN else _by_path(_path(serialized))


# Cached, since a model is of the same provider at each call.
@functools.lru_cache(maxsize=256)
def _known(name: str | None, path: tuple[str, ...], kind: str | None) -> str | None:
    """Return the provider by LangChain's name for it, else by the path of the class, else by its ``_type``."""
    known = _CONVENTIONS.get(name) if name else None
    # A name may be only the class name without ``Chat`` or ``LLM``, which is a user's for a subclass.
    if known is None and (name is None or name in (path or ("",))[-1].lower()):
        known = _by_path(path) or _by_type(kind)
    return known or name


def _by_path(path: tuple[str, ...]) -> str | None:
    """Return the provider by the path of a class: ``["langchain", "chat_models", "anthropic", "ChatAnthropic"]``."""
    if not path:
        return None
    if path[0] == "langchain":
        return next((_CONVENTIONS[each] for each in path[1:-1] if each in _CONVENTIONS), None)
    return _PACKAGES.get(path[0])


def _by_type(kind: str | None) -> str | None:
    if kind is None:
        return None
    kind = kind.removeprefix("chat-")
    for end in _TYPE_SUFFIXES:
        kind = kind.removesuffix(end)
    return _TYPES.get(kind) or _CONVENTIONS.get(kind)


def _google(serialized: _Mapping) -> str:
    """Return which of Google's services is called, as far as the arguments of the model show it."""
    arguments = serialized.get("kwargs") if isinstance(serialized, dict) else None
    if not isinstance(arguments, dict):
        return _GOOGLE
    endpoint = name_at(arguments, *_ENDPOINT_KEYS) or ""
    if arguments.get("vertexai") is True or "aiplatform.googleapis.com" in endpoint:
        return "gcp.vertex_ai"
    if arguments.get("vertexai") is False or "generativelanguage.googleapis.com" in endpoint:
        return "gcp.gemini"
    return _GOOGLE


def _path(serialized: _Mapping) -> tuple[str, ...]:
    path = stored_items(serialized.get("id")) if isinstance(serialized, dict) else None
    return tuple(path) if path and set(map(type, path)) == {str} else ()


def legacy_names(attributes: PlainAttributes) -> PlainAttributes:
    """Return the attributes of a run's start by the names that they had until 1.36."""
    provider = attributes.get(semconv.PROVIDER)
    return {semconv.SYSTEM: _LEGACY.get(provider, provider)} if isinstance(provider, str) else {}
