"""LangChain runs as OpenTelemetry spans, by a callback handler passed at runtime."""

from typing import TYPE_CHECKING, Any

from runspan._version import __version__
from runspan.handler import OpenTelemetryCallbackHandler
from runspan.settings import Settings

if TYPE_CHECKING:
    from runspan.setup import Handle, configure

__all__ = ["Handle", "OpenTelemetryCallbackHandler", "Settings", "__version__", "configure"]


def __getattr__(name: str) -> Any:
    # People with a provider of their own need neither the SDK's exporters nor the time to import them.
    if name in {"Handle", "configure"}:
        from runspan import setup  # noqa: PLC0415  imported when first asked for

        return getattr(setup, name)
    raise AttributeError(f"module 'runspan' has no attribute {name!r}")
