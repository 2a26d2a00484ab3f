"""What calls of models cost, as attributes."""

from typing import Final

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import Attributes, is_count
from runspan.cost import CostFunction, ModelUsage, checked_cost
from runspan.runs.run import Run

_NOTHING: Final[Attributes] = {}
_COUNTS: Final = {
    "input_tokens": semconv.INPUT_TOKENS,
    "output_tokens": semconv.OUTPUT_TOKENS,
    "cache_read_input_tokens": semconv.CACHE_READ_TOKENS,
    "cache_write_input_tokens": semconv.CACHE_WRITE_TOKENS,
    "reasoning_output_tokens": semconv.REASONING_TOKENS,
    "audio_input_tokens": semconv.AUDIO_INPUT_TOKENS,
    "audio_output_tokens": semconv.AUDIO_OUTPUT_TOKENS,
}


def cost_attributes(run: Run, attributes: Attributes, cost_of: CostFunction) -> Attributes:
    """Return what a call of a model costs; nothing if it used nothing, or that is unknown.

    Args:
        run: the run of the model.
        attributes: what its span gets at the end.
        cost_of: the function that knows.
    """
    # What only the span of its SDK knew stands among the pending ones.
    known = {**run.start_attributes, **run.record.attributes, **attributes}
    counts = {field: count for field, name in _COUNTS.items() if is_count(count := known.get(name))}
    model = known.get(semconv.RESPONSE_MODEL) or known.get(semconv.REQUEST_MODEL)
    if not counts or not isinstance(model, str):
        return _NOTHING
    provider = known.get(semconv.PROVIDER)
    usage = ModelUsage(provider if isinstance(provider, str) else None, **counts)
    cost = attempt(lambda: checked_cost(cost_of(model, usage)), default=None)
    if cost is None:
        return _NOTHING
    return {
        semconv.COST_AMOUNT: float(cost.amount),
        semconv.COST_CURRENCY: cost.currency,
        semconv.COST_SOURCE: cost.source,
    }
