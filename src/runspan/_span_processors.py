"""How a span processor comes onto a tracer provider that somebody else has made."""

from collections.abc import Callable
from typing import Any, TypeVar

from runspan._by_identity import ByIdentity

_P = TypeVar("_P")


def processor_on(provider: Any, known: ByIdentity[Any, _P], make: Callable[[], _P]) -> _P:
    """Return the processor that is known to be on a provider; if there is none, make and add one, for good.

    It is added beside those that are there: Phoenix's provider would put the first one in place of its own.
    """
    processor = known.get(provider)
    if processor is None:
        processor = known.setdefault(provider, make())
        keywords = getattr(provider.add_span_processor, "__kwdefaults__", None) or {}
        kept = {"replace_default_processor": False} if "replace_default_processor" in keywords else {}
        provider.add_span_processor(processor, **kept)
    return processor
