"""What a call of a model costs, where a setting says how that is known."""

import math
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from typing import Final, Literal, NamedTuple, TypeAlias


class ModelUsage(NamedTuple):
    """What a model call used: tokens, and who served it.

    Args:
        provider: by the convention's name, such as ``aws.bedrock``; None if it is unknown.
        input_tokens: all that was read, including what came from a cache.
        output_tokens: all that was written, including thoughts.
        cache_read_input_tokens: those of the input that were read from a cache.
        cache_write_input_tokens: those of the input that were written to a cache.
        reasoning_output_tokens: those of the output that are thoughts.
        audio_input_tokens: those of the input that are audio.
        audio_output_tokens: those of the output that are audio.

    Example:
        ``Settings(cost=lambda model, usage: usage.input_tokens * 1e-6 + usage.output_tokens * 4e-6)``
    """

    provider: str | None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0


class Cost(NamedTuple):
    """What a model call costs.

    Args:
        amount: of money, not negative.
        currency: by ISO 4217.
        source: where it is from.

    Example:
        ``Settings(cost=lambda model, usage: Cost(usage.output_tokens * 4e-6, "EUR", "contract"))``
    """

    amount: float | Decimal
    currency: str = "USD"
    source: str = "application"


CostFunction: TypeAlias = Callable[[str, ModelUsage], Cost | float | Decimal | None]
"""Returns what a call of a model with that usage costs; a number is an amount in US dollars, None is unknown."""
CostSource: TypeAlias = CostFunction | Literal["genai-prices"]

# The conventions' names of providers, as genai-prices has them; all others are the same.
_PROVIDERS: Final = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}


def cost_function(source: CostSource | None) -> CostFunction | None:
    """Return the function that a setting names."""
    return _by_genai_prices if source == "genai-prices" else source


def is_source_installed(source: object) -> bool:
    """Return whether the package that a setting names can be imported."""
    return source != "genai-prices" or find_spec("genai_prices") is not None


def checked_cost(found: object) -> Cost | None:
    """Return what a cost function returned; None if it is no amount of money."""
    cost = found if isinstance(found, Cost) else Cost(found) if isinstance(found, int | float | Decimal) else None
    if cost is None or isinstance(cost.amount, bool) or not isinstance(cost.amount, int | float | Decimal):
        return None
    amount = float(cost.amount)
    # A receiver may refuse a whole request for one attribute that is no text.
    is_named = all(type(text) is str and text.isprintable() for text in (cost.currency, cost.source))
    return cost._replace(amount=amount) if is_named and math.isfinite(amount) and amount >= 0 else None


def _by_genai_prices(model: str, usage: ModelUsage) -> Cost | None:
    """Return the list price; discounts of the application's own are unknown."""
    from genai_prices import Usage, calc_price  # noqa: PLC0415  an extra

    counted = Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens or None,
        cache_write_tokens=usage.cache_write_input_tokens or None,
        input_audio_tokens=usage.audio_input_tokens or None,
        output_audio_tokens=usage.audio_output_tokens or None,
    )
    provider = _PROVIDERS.get(usage.provider, usage.provider) if usage.provider is not None else None
    try:
        price = calc_price(counted, model, provider_id=provider)
    except LookupError:  # it knows no such model
        return None
    return Cost(price.total_price, source="genai-prices")
