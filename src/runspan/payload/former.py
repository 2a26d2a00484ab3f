"""Names of before, for backends that read no others."""

from typing import Final

from runspan import semconv
from runspan.payload.content import Attributes

# What providers were called where it was something else.
_FORMER: Final = {
    "azure.ai.inference": "az.ai.inference",
    "azure.ai.openai": "az.ai.openai",
    "gcp.gemini": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "x_ai": "xai",
}


def former_names(attributes: Attributes) -> Attributes:
    """Return the attributes of a run's start by the names that they had before."""
    provider = attributes.get(semconv.PROVIDER)
    return {semconv.SYSTEM: _FORMER.get(provider, provider)} if isinstance(provider, str) else {}
