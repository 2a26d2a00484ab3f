"""``%load_ext runspan``: each cell's traces are shown below it."""

from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from runspan._by_identity import ByIdentity
from runspan._span_processors import processor_on
from runspan.viewer.notebook import CellSpans

_spans_of: Final[ByIdentity[trace.TracerProvider, CellSpans]] = ByIdentity()
_hooks: Final[dict[int, Callable[..., None]]] = {}  # by the id of the shell


@runtime_checkable
class _TakesProcessors(Protocol):
    def add_span_processor(self, span_processor: SpanProcessor) -> None: ...


def load_ipython_extension(ipython: Any) -> None:
    """Show below each cell the traces that ended in it; ``%load_ext runspan`` calls it.

    Spans are those of the global tracer provider; where none is set, a new one is.

    Raises:
        RuntimeError: if the tracer provider that is set takes no span processors.
    """
    if id(ipython) in _hooks:
        return
    spans = _spans_on(_provider())
    spans.take()

    def show_traces(*_: object) -> None:
        from IPython.display import display  # noqa: PLC0415  it is there where there is a notebook

        if len(found := spans.take()):
            display(found)  # type: ignore[no-untyped-call]  # IPython has no types there

    _hooks[id(ipython)] = show_traces
    ipython.events.register("post_run_cell", show_traces)


def unload_ipython_extension(ipython: Any) -> None:
    """Show no more traces; ``%unload_ext runspan`` calls it."""
    if (hook := _hooks.pop(id(ipython), None)) is not None:
        ipython.events.unregister("post_run_cell", hook)


def _provider() -> trace.TracerProvider:
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    return provider


def _spans_on(provider: trace.TracerProvider) -> CellSpans:
    """Return what keeps the spans of a provider; it is added once, as nothing can be removed."""
    if not isinstance(provider, _TakesProcessors):
        raise RuntimeError(  # noqa: TRY004  no argument has the wrong type
            f"The tracer provider in place, {type(provider).__qualname__}, has no add_span_processor, so cells"
            " can't show their traces. Call configure() in place of setting that provider."
        )
    return processor_on(provider, _spans_of, CellSpans)
