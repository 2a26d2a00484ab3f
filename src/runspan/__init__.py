"""LangChain runs as OpenTelemetry spans, and spans as callbacks, by a callback handler passed at runtime."""

import importlib
from typing import TYPE_CHECKING, Any, Final

from runspan._version import __version__
from runspan.handler import OpenTelemetryCallbackHandler
from runspan.settings import Settings

if TYPE_CHECKING:
    from runspan.ai_only import AiOnlySpanProcessor
    from runspan.block import invocation
    from runspan.callback_processor import CallbackSpanProcessor
    from runspan.embeddings import trace_embeddings
    from runspan.export.counts import Stats
    from runspan.export.otlp_processor import OtlpSpanProcessor
    from runspan.export.spool.files import Spool
    from runspan.one_call import OneCallSpanProcessor
    from runspan.playback import replay
    from runspan.resumption import link_resumes
    from runspan.setup import Handle, configure

__all__ = [
    "AiOnlySpanProcessor",
    "CallbackSpanProcessor",
    "Handle",
    "OneCallSpanProcessor",
    "OpenTelemetryCallbackHandler",
    "OtlpSpanProcessor",
    "Settings",
    "Spool",
    "Stats",
    "__version__",
    "configure",
    "invocation",
    "link_resumes",
    "replay",
    "trace_embeddings",
]

# People who need the handler alone don't pay for importing the SDK and its exporters.
_IMPORTED_WHEN_ASKED_FOR: Final = {
    "AiOnlySpanProcessor": "runspan.ai_only",
    "CallbackSpanProcessor": "runspan.callback_processor",
    "Handle": "runspan.setup",
    "OneCallSpanProcessor": "runspan.one_call",
    "OtlpSpanProcessor": "runspan.export.otlp_processor",
    "Spool": "runspan.export.spool.files",
    "Stats": "runspan.export.counts",
    "configure": "runspan.setup",
    "invocation": "runspan.block",
    "link_resumes": "runspan.resumption",
    "replay": "runspan.playback",
    "trace_embeddings": "runspan.embeddings",
}


def __getattr__(name: str) -> Any:
    if module := _IMPORTED_WHEN_ASKED_FOR.get(name):
        return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'runspan' has no attribute {name!r}")
