"""What the span of a model's call says about the answer, in the names of the conventions; and the span without it."""

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.util.types import AnyValue

from runspan import semconv
from runspan.rebuild.facts import WORDS
from runspan.rebuild.span_data import Names, SpanData, count, text, texts

_Attributes = dict[str, AnyValue]


_USAGE: Final[dict[str, Names]] = {
    semconv.INPUT_TOKENS: WORDS.input_tokens,
    semconv.OUTPUT_TOKENS: WORDS.output_tokens,
}
# Parts of the above; providers send zeros for those that they do not count.
_FINER_USAGE: Final[dict[str, Names]] = {
    semconv.CACHE_READ_TOKENS: WORDS.cache_read,
    semconv.CACHE_WRITE_TOKENS: WORDS.cache_creation,
    semconv.CACHE_CREATION_TOKENS: WORDS.cache_creation,
    semconv.REASONING_TOKENS: WORDS.reasoning,
    **{
        name: (name,)
        for name in (
            semconv.TEXT_INPUT_TOKENS,
            semconv.IMAGE_INPUT_TOKENS,
            semconv.AUDIO_INPUT_TOKENS,
            semconv.TEXT_OUTPUT_TOKENS,
            semconv.IMAGE_OUTPUT_TOKENS,
            semconv.AUDIO_OUTPUT_TOKENS,
        )
    },
}
_AS_TOLD: Final = (
    semconv.REQUEST_STREAM,
    semconv.TIME_TO_FIRST_CHUNK,
    semconv.OPENAI_RESPONSE_TIER,
    semconv.OPENAI_FINGERPRINT,
    semconv.ANTHROPIC_RESPONSE_TIER,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
)

# What makes a span a call of a model to some backend: the conventions and OpenLLMetry, OpenLLMetry and OpenInference.
_MEANING: Final = ("gen_ai.", "llm.", "openinference.span.kind")
# Whole requests and answers, in OpenInference.
_CONTENT: Final = ("input.value", "input.mime_type", "output.value", "output.mime_type")


def recorded_response(told: SpanData) -> _Attributes:
    """Return response id and model, finish reasons, usage and service tier, as far as a span says them."""
    usage = {name: count(told, names) for name, names in _USAGE.items()}
    finer = {name: count(told, names) or None for name, names in _FINER_USAGE.items()}
    found: dict[str, AnyValue] = {
        semconv.RESPONSE_ID: text(told, WORDS.response_id),
        semconv.RESPONSE_MODEL: text(told, WORDS.response_model),
        semconv.FINISH_REASONS: texts(told, WORDS.finish_reasons) or None,
        **usage,
        **finer,
        **{name: told.attributes.get(name) for name in _AS_TOLD},
    }
    return {name: value for name, value in found.items() if value is not None and value is not False}


def has_usage(attributes: Mapping[str, AnyValue]) -> bool:
    """Tell whether attributes in the names of the conventions count tokens."""
    return any(name in attributes for name in _USAGE)


def without_usage(answer: Mapping[str, AnyValue]) -> _Attributes:
    """Return an answer without its counts of tokens."""
    return {name: value for name, value in answer.items() if name not in _USAGE and name not in _FINER_USAGE}


def merged_responses(answers: Iterable[Mapping[str, AnyValue]]) -> _Attributes:
    """Return what several answers say together: tokens add up, for the rest the latest counts."""
    found: _Attributes = {}
    for answer in answers:
        for name, value in answer.items():
            before = found.get(name)
            is_sum = name in _USAGE or name in _FINER_USAGE
            found[name] = before + value if is_sum and isinstance(before, int) and isinstance(value, int) else value
    return found


def without_model_attributes(attributes: Mapping[str, AnyValue]) -> _Attributes:
    """Return what is left of a model's call: HTTP, the provider's own attributes, errors, not the call itself."""
    return {name: value for name, value in attributes.items() if not name.startswith(_MEANING) and name not in _CONTENT}
