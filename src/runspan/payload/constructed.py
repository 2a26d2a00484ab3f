"""What a model was constructed with: parameters, which not every package hands over with a call, and its server."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from runspan import semconv
from runspan.attributes import PlainAttributes
from runspan.payload.stored import stored_pairs
from runspan.payload.text import describe, text_at, text_in

_Mapping = Mapping[str, Any] | None

_ADDRESSES: Final = (
    "base_url",
    "azure_endpoint",
    "endpoint_url",
    "endpoint",
    "api_endpoint",
    "anthropic_api_url",
    "inference_server_url",
    "api_base",
)
_ADDRESS_SUFFIX: Final = "_api_base"
_PORTS: Final = {"http": 80, "https": 443}
_NESTED_MODEL: Final = "llm"


def constructor_arguments(serialized: _Mapping, find_model: Callable[[], object]) -> Mapping[str, Any]:
    """Return the arguments of a model's constructor.

    Args:
        serialized: LangChain's description of the model; it has the arguments of classes that can be stored.
        find_model: returns the model itself, which is asked where its class can't: Ollama, NVIDIA and others. A
            completion model that is called asynchronously can't be found.
    """
    arguments = serialized.get("kwargs") if isinstance(serialized, dict) else None
    return arguments if isinstance(arguments, dict) else _fields(find_model())


def _fields(model: object) -> Mapping[str, Any]:
    """Return what a model stores, with what the one within has, as in Hugging Face's chat models."""
    # Importing LangChain's models takes time; where one runs they are there.
    models = sys.modules.get("langchain_core.language_models.base")
    if models is None or not isinstance(model, models.BaseLanguageModel):
        return {}
    stored = vars(model)
    return {**_fields(stored.get(_NESTED_MODEL)), **stored}


def server(*sources: _Mapping) -> PlainAttributes:
    """Return address and port of the server that a model was given; sources before others win."""
    for source in sources:
        url = text_at(source, *_ADDRESSES) or _by_suffix(source)
        if url and (found := _address(url)):
            return found
    return {}


def _by_suffix(source: _Mapping) -> str | None:
    """Return the address that a package names after its provider: ``openai_api_base``, ``groq_api_base``."""
    pairs = stored_pairs(source) or ()
    return next(
        (text for key, value in pairs if describe(key).endswith(_ADDRESS_SUFFIX) and (text := text_in(value))), None
    )


def _address(url: str) -> PlainAttributes:
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme or "https")
    except ValueError:  # it is no URL
        return {}
    if not host:
        return {}
    return {semconv.SERVER_ADDRESS: host, **({semconv.SERVER_PORT: port} if port else {})}
