"""How a span processor comes onto a tracer provider that somebody else has made."""

from typing import Any


def add_span_processor(provider: Any, processor: object) -> None:
    """Add a processor beside those that a provider has: Phoenix's would put the first one in place of its own."""
    keywords = getattr(provider.add_span_processor, "__kwdefaults__", None) or {}
    kept = {"replace_default_processor": False} if "replace_default_processor" in keywords else {}
    provider.add_span_processor(processor, **kept)
