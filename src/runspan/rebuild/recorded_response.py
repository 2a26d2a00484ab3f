"""What the span of a model's call has of the response, by the names of the conventions; and the span without it."""

from collections.abc import Iterable
from typing import Any, Final

from runspan import semconv
from runspan.attributes import Attributes
from runspan.payload.usage import INPUT_MODALITIES, OUTPUT_MODALITIES
from runspan.rebuild.facts import NAMES
from runspan.rebuild.span_data import Names, SpanData, count, text, texts

_USAGE: Final[dict[str, Names]] = {
    semconv.INPUT_TOKENS: NAMES.input_tokens,
    semconv.OUTPUT_TOKENS: NAMES.output_tokens,
}
# Parts of the above; providers send zeros for those that they do not count.
_FINER_USAGE: Final[dict[str, Names]] = {
    semconv.CACHE_READ_TOKENS: NAMES.cache_read,
    semconv.CACHE_WRITE_TOKENS: NAMES.cache_creation,
    semconv.CACHE_CREATION_TOKENS: NAMES.cache_creation,
    semconv.REASONING_TOKENS: NAMES.reasoning,
    **{name: (name,) for name in (*INPUT_MODALITIES.values(), *OUTPUT_MODALITIES.values())},
}
_UNCHANGED: Final = (
    semconv.REQUEST_STREAM,
    semconv.TIME_TO_FIRST_CHUNK,
    semconv.OPENAI_RESPONSE_TIER,
    semconv.OPENAI_FINGERPRINT,
    semconv.ANTHROPIC_RESPONSE_TIER,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
)

# Attributes by which backends know a model's call: those of the conventions, OpenLLMetry and OpenInference.
_MODEL_PREFIXES: Final = ("gen_ai.", "llm.", "openinference.span.kind")
# Whole requests and responses, in OpenInference.
_CONTENT: Final = ("input.value", "input.mime_type", "output.value", "output.mime_type")


def recorded_response(span: SpanData) -> Attributes:
    """Return response id and model, finish reasons, usage and service tier, as far as a span has them."""
    found: Attributes = {
        semconv.RESPONSE_ID: text(span, NAMES.response_id),
        semconv.RESPONSE_MODEL: text(span, NAMES.response_model),
        semconv.FINISH_REASONS: texts(span, NAMES.finish_reasons) or None,
        **{name: count(span, names) for name, names in _USAGE.items()},
        **{name: count(span, names) or None for name, names in _FINER_USAGE.items()},
        **{name: span.attributes.get(name) for name in _UNCHANGED},
    }
    return {name: value for name, value in found.items() if value is not None and value is not False}


def has_usage(attributes: Attributes) -> bool:
    """Return whether attributes in the names of the conventions count tokens."""
    return any(name in attributes for name in _USAGE)


def without_usage(response: Attributes) -> Attributes:
    """Return a response without its counts of tokens."""
    return {name: value for name, value in response.items() if name not in _USAGE and name not in _FINER_USAGE}


def merged_responses(responses: Iterable[Attributes]) -> Attributes:
    """Return several responses as one: tokens add up, for the rest the latest counts."""
    found: dict[str, Any] = {}
    for response in responses:
        for name, value in response.items():
            before = found.get(name)
            is_sum = name in _USAGE or name in _FINER_USAGE
            found[name] = before + value if is_sum and isinstance(before, int) and isinstance(value, int) else value
    return found


def without_model_attributes(attributes: Attributes) -> Attributes:
    """Return what is left of a model's call: HTTP, the provider's own attributes, errors, not the call itself."""
    return {
        name: value
        for name, value in attributes.items()
        if not name.startswith(_MODEL_PREFIXES) and name not in _CONTENT
    }
