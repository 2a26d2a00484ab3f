"""Which spans will not be sampled, whatever they are: OpenTelemetry's own samplers say that of what is below some."""

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, SpanContext, TracerProvider

from runspan._guard import attempt

# A class derived from one of these may look at anything.
_SAMPLERS: Final = "opentelemetry.sdk.trace.sampling"
_NONE: Final = "AlwaysOffSampler"
_NONE_BELOW: Final = f"localParentNotSampled:{_NONE}}}"


def dropped_below(provider: TracerProvider) -> Callable[[SpanContext], bool]:
    """Return the function that says of a parent, which may be invalid, that no span of a provider below it is sampled.

    It says so only where that is certain before anything is known of the span.
    """
    if isinstance(provider, ProxyTracerProvider | NoOpTracerProvider):
        return _all
    sampler: Any = getattr(provider, "sampler", None)
    if type(sampler).__module__ != _SAMPLERS:
        return _none
    description = str(attempt(sampler.get_description, default=""))
    if description == _NONE:
        return _all
    return _below_dropped if description.endswith(_NONE_BELOW) else _none


def _all(_: SpanContext) -> bool:
    return True


def _none(_: SpanContext) -> bool:
    return False


def _below_dropped(parent: SpanContext) -> bool:
    return parent.is_valid and not parent.is_remote and not parent.trace_flags.sampled
