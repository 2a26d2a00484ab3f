"""The parameters of a model's call, and the form of output that it asks for."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from runspan import semconv
from runspan.attributes import AttributeValue, PlainAttributes, is_int64
from runspan.payload.stored import stored_dict, stored_items
from runspan.payload.text import describe_all, name_at, name_in, text_in

_Mapping = Mapping[str, Any] | None
_MOST_PARAMETERS: Final = 1_000
_Reader = Callable[[Any], AttributeValue | None]


def model_parameters(
    invocation_params: _Mapping, metadata: _Mapping = None, options: _Mapping = None, constructed: _Mapping = None
) -> PlainAttributes:
    """Return the parameters of a call of a model; a value of another type than the conventions' is left out.

    Args:
        invocation_params: of the model; they go before the metadata.
        metadata: of the run, with LangChain's own ``ls_temperature``, ``ls_max_tokens``, ``ls_stop``; it goes before
            what the model was constructed with.
        options: of the call, with the stop sequences of that call alone, and with ``ls_structured_output_format``
            where structured output is requested.
        constructed: the arguments of the model's constructor.
    """
    attributes: PlainAttributes = {}
    if not _replaces_constructor(invocation_params):
        _read(constructed, _OF_PARAMETERS, attributes)
        _read(metadata, _OF_METADATA, attributes)
    _read(invocation_params, _OF_PARAMETERS, attributes)
    if isinstance(options, dict):
        # Among the parameters of some packages the constructor's stand in their stead.
        if (stop := options.get("stop")) is not None and (texts := _texts(stop)):
            attributes[semconv.STOP_SEQUENCES] = texts
        if options.get("ls_structured_output_format") is not None:
            attributes[semconv.OUTPUT_TYPE] = "json"
    return attributes


def _replaces_constructor(invocation_params: _Mapping) -> bool:
    """Return whether a call was given all parameters at once, as Ollama's options: nothing else is sent then."""
    return isinstance(invocation_params, dict) and isinstance(invocation_params.get("options"), dict)


def service_tier(invocation_params: _Mapping) -> str | None:
    """Return the requested service tier, if it is not the provider's to choose."""
    tier = name_at(invocation_params, "service_tier")
    return tier if tier != "auto" else None


def _read(
    source: object, readers: Mapping[str, tuple[str, _Reader]], attributes: PlainAttributes, depth: int = 0
) -> None:
    given = stored_dict(source, _MOST_PARAMETERS)
    for key in _known_keys(tuple(given)):
        value = given.get(key)
        if value is None:
            continue
        if key in readers:
            name, read = readers[key]
            if (found := read(value)) is not None:
                attributes[name] = found
        if key in _NESTED and depth < _MAX_DEPTH:
            _read(value, readers, attributes, depth + 1)


# Cached, since a model has parameters of the same names at each call.
@functools.lru_cache(maxsize=256)
def _known_keys(keys: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if type(key) is str and key in _KNOWN)


def _int(value: object) -> int | None:
    return value if is_int64(value) else None


def _choices(value: object) -> int | None:
    return value if is_int64(value) and value != 1 else None


def _float(value: object) -> float | None:
    if is_int64(value):
        return float(value)
    return value if type(value) is float and math.isfinite(value) else None


def _texts(value: object) -> list[str] | None:
    found = [value] if isinstance(value, str) else stored_items(value) or ()
    return describe_all(text for each in found if (text := text_in(each))) or None


def _form(value: object) -> str | None:
    """Return ``json`` or ``text`` by a name, by a dictionary with a type or that is a schema, or by a class."""
    kind = value.get("type") if isinstance(value, dict) else value
    if isinstance(kind, str) and kind in _FORMS:
        return _FORMS[kind]
    is_schema = isinstance(value, dict) and not value.keys().isdisjoint(("properties", "$defs", "$schema"))
    return "json" if is_schema or isinstance(value, type) else None


_FORMS: Final = {
    **dict.fromkeys(("json", "json_object", "json_schema", "object", "application/json"), "json"),
    **dict.fromkeys(("text", "text/plain"), "text"),
}
# These may be nested, even in themselves.
_MAX_DEPTH: Final = 3
# Where packages put parameters: Bedrock's, Titan's, Google's, Ollama's, Anthropic's, watsonx's; those of OpenAI's
# Responses API.
_NESTED: Final = frozenset(
    (
        "additional_model_request_fields",
        "generation_config",
        "inferenceConfig",
        "model_kwargs",
        "options",
        "output_config",
        "params",
        "reasoning",
        "reasoningConfig",
        "text",
        "textGenerationConfig",
    )
)
_OF_METADATA: Final[dict[str, tuple[str, _Reader]]] = {
    "ls_temperature": (semconv.TEMPERATURE, _float),
    "ls_max_tokens": (semconv.MAX_TOKENS, _int),
    "ls_stop": (semconv.STOP_SEQUENCES, _texts),
}
_OF_PARAMETERS: Final[dict[str, tuple[str, _Reader]]] = {
    **dict.fromkeys(("n", "candidate_count"), (semconv.CHOICE_COUNT, _choices)),
    **dict.fromkeys(("seed", "random_seed"), (semconv.SEED, _int)),
    **dict.fromkeys(("top_k", "topK", "k"), (semconv.TOP_K, _int)),
    **dict.fromkeys(("top_p", "topP", "p"), (semconv.TOP_P, _float)),
    "temperature": (semconv.TEMPERATURE, _float),
    "frequency_penalty": (semconv.FREQUENCY_PENALTY, _float),
    "presence_penalty": (semconv.PRESENCE_PENALTY, _float),
    **dict.fromkeys(
        (
            "max_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "max_new_tokens",
            "max_gen_len",
            "maxTokens",
            "maxTokenCount",
            "num_predict",
        ),
        (semconv.MAX_TOKENS, _int),
    ),
    **dict.fromkeys(("stop", "stop_sequences", "stopSequences"), (semconv.STOP_SEQUENCES, _texts)),
    # Ollama's ``reasoning`` may be a level, others' has one; Nova's is within ``reasoningConfig``.
    **dict.fromkeys(
        ("reasoning_effort", "effort", "thinking_level", "reasoning", "maxReasoningEffort"),
        (semconv.REASONING_LEVEL, name_in),
    ),
    "previous_response_id": (semconv.PREVIOUS_RESPONSE_ID, name_in),
    **dict.fromkeys(
        ("response_format", "response_mime_type", "response_schema", "response_json_schema", "format"),
        (semconv.OUTPUT_TYPE, _form),
    ),
}
_KNOWN: Final = _OF_METADATA.keys() | _OF_PARAMETERS.keys() | _NESTED
