"""LangChain runs as OpenTelemetry spans, and spans as callbacks, by a callback handler passed at runtime."""

import importlib
from typing import TYPE_CHECKING, Final

from runspan._version import __version__

if TYPE_CHECKING:
    from runspan._configure import configure
    from runspan._doctor import doctor
    from runspan._handle import Handle
    from runspan._instrumentor import RunspanInstrumentor
    from runspan._invocation import invocation
    from runspan.cost import Cost, ModelUsage
    from runspan.export.processor import OtlpSpanProcessor
    from runspan.export.spool import Spool
    from runspan.export.stats import Stats
    from runspan.langchain.checkpoints import link_resumes
    from runspan.langchain.embeddings import trace_embeddings
    from runspan.langchain.handler import OpenTelemetryCallbackHandler
    from runspan.langchain.zero_code import instrument, uninstrument
    from runspan.listeners.callback_processor import CallbackSpanProcessor
    from runspan.processors.ai_only import AiOnlySpanProcessor
    from runspan.processors.backend import BackendSpanProcessor
    from runspan.processors.keeping import KeepingSpanProcessor
    from runspan.processors.one_call import OneCallSpanProcessor
    from runspan.propagation import extract, inject
    from runspan.recording.replay import replay
    from runspan.redaction import redact_secrets
    from runspan.settings import Settings
    from runspan.signals.evaluation import record_evaluation
    from runspan.viewer.notebook import show

__all__ = [
    "AiOnlySpanProcessor",
    "BackendSpanProcessor",
    "CallbackSpanProcessor",
    "Cost",
    "Handle",
    "KeepingSpanProcessor",
    "ModelUsage",
    "OneCallSpanProcessor",
    "OpenTelemetryCallbackHandler",
    "OtlpSpanProcessor",
    "RunspanInstrumentor",
    "Settings",
    "Spool",
    "Stats",
    "__version__",
    "configure",
    "doctor",
    "extract",
    "inject",
    "instrument",
    "invocation",
    "link_resumes",
    "record_evaluation",
    "redact_secrets",
    "replay",
    "show",
    "trace_embeddings",
    "uninstrument",
]

# Each pays for what it uses: the handler alone imports no SDK, pytest's and OpenTelemetry's entry points no LangChain.
_IMPORTED_WHEN_ASKED_FOR: Final = {
    "AiOnlySpanProcessor": "runspan.processors.ai_only",
    "BackendSpanProcessor": "runspan.processors.backend",
    "CallbackSpanProcessor": "runspan.listeners.callback_processor",
    "Cost": "runspan.cost",
    "Handle": "runspan._handle",
    "KeepingSpanProcessor": "runspan.processors.keeping",
    "ModelUsage": "runspan.cost",
    "OneCallSpanProcessor": "runspan.processors.one_call",
    "OpenTelemetryCallbackHandler": "runspan.langchain.handler",
    "OtlpSpanProcessor": "runspan.export.processor",
    "RunspanInstrumentor": "runspan._instrumentor",
    "Settings": "runspan.settings",
    "Spool": "runspan.export.spool",
    "Stats": "runspan.export.stats",
    "configure": "runspan._configure",
    "doctor": "runspan._doctor",
    "extract": "runspan.propagation",
    "inject": "runspan.propagation",
    "instrument": "runspan.langchain.zero_code",
    "invocation": "runspan._invocation",
    "link_resumes": "runspan.langchain.checkpoints",
    "load_ipython_extension": "runspan._notebook",
    "record_evaluation": "runspan.signals.evaluation",
    "redact_secrets": "runspan.redaction",
    "replay": "runspan.recording.replay",
    "show": "runspan.viewer.notebook",
    "trace_embeddings": "runspan.langchain.embeddings",
    "uninstrument": "runspan.langchain.zero_code",
    "unload_ipython_extension": "runspan._notebook",
}


if not TYPE_CHECKING:  # so that type checkers know each name, and refuse others

    def __getattr__(name: str) -> object:
        if module := _IMPORTED_WHEN_ASKED_FOR.get(name):
            return getattr(importlib.import_module(module), name)
        raise AttributeError(f"module 'runspan' has no attribute {name!r}")
