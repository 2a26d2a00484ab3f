"""What a model was constructed with: parameters, which not every package hands over with a call, and its server."""

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from runspan import semconv
from runspan.attributes import AttributeValue, PlainAttributes
from runspan.payload.stored import stored_dict
from runspan.payload.text import name_in

_Mapping = Mapping[str, Any] | None

_ADDRESSES: Final = frozenset(
    (
        "anthropic_api_url",
        "api_base",
        "api_endpoint",
        "azure_endpoint",
        "base_url",
        "endpoint",
        "endpoint_url",
        "inference_server_url",
    )
)
# Of a name after the provider: ``openai_api_base``, ``groq_api_base``.
_ADDRESS_SUFFIX: Final = "_api_base"
_PORTS: Final = {"http": 80, "https": 443}
_NESTED_MODEL: Final = "llm"
_MOST_ARGUMENTS: Final = 1_000


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
        arguments = stored_dict(source, _MOST_ARGUMENTS)
        for key in _address_keys(tuple(arguments)):
            if (url := name_in(arguments.get(key))) and (found := _address(url)):
                return dict(found)
    return {}


# Cached, since the arguments of a class have the same names at each call of a model.
@functools.lru_cache(maxsize=256)
def _address_keys(keys: tuple[Any, ...]) -> tuple[str, ...]:
    texts = (key for key in keys if type(key) is str)
    return tuple(key for key in texts if key in _ADDRESSES or key.endswith(_ADDRESS_SUFFIX))


@functools.lru_cache(maxsize=256)
def _address(url: str) -> Mapping[str, AttributeValue]:
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme or "https")
    except ValueError:  # it is no URL
        return {}
    if not host:
        return {}
    return {semconv.SERVER_ADDRESS: host, **({semconv.SERVER_PORT: port} if port else {})}
