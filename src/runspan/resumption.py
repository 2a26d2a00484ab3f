"""Which span was interrupted at a checkpoint, so that the run that resumes there can link to it."""

import functools
from collections import OrderedDict
from typing import Any, Final, TypeVar

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from runspan._guard import attempt
from runspan.arguments import shown
from runspan.context import open_runs_in

_T = TypeVar("_T")

_REMEMBERED: Final = 4096
_TRACEPARENT: Final = "traceparent"
_interrupted: Final[OrderedDict[str, SpanContext]] = OrderedDict()
_made: Final[set[type]] = set()
_propagator: Final = TraceContextTextMapPropagator()


def note_interrupted(checkpoint_id: str, span: SpanContext) -> None:
    """Remember the span of a graph that was interrupted at a checkpoint; the last few thousand are."""
    if span.is_valid:
        _interrupted[checkpoint_id] = span
        if len(_interrupted) > _REMEMBERED:
            _interrupted.popitem(last=False)


def interrupted_at(checkpoint_id: str) -> SpanContext | None:
    """Return the span that was interrupted at a checkpoint, in this process or as a checkpointer tells."""
    return _interrupted.get(checkpoint_id)


def link_resumes(checkpointer: _T) -> _T:
    """Have a checkpointer keep which span saved a checkpoint, so that who resumes there in another process links to it.

    Each checkpoint's metadata gets ``traceparent``, the span of the graph that saved it, in the form of W3C Trace
    Context. In one process runs that resume are linked without it.

    Args:
        checkpointer: any saver of LangGraph's; the same object is returned, with ``put`` and ``get_tuple`` and their
            async forms doing this besides.

    Raises:
        TypeError: if it is none.

    Example:
        ``graph = builder.compile(checkpointer=runspan.link_resumes(PostgresSaver(connection)))``
    """
    kind: Any = type(checkpointer)
    if not all(callable(getattr(kind, name, None)) for name in ("put", "aput", "get_tuple", "aget_tuple")):
        raise TypeError(f"checkpointer is {shown(checkpointer)}; it must be one of LangGraph's checkpoint savers.")
    if kind not in _made:
        checkpointer.__class__ = _linking(kind)
    return checkpointer


@functools.cache
def _linking(kind: Any) -> type[Any]:
    """Return the class of a checkpointer with what it does besides."""

    def put(self: Any, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        return kind.put(self, config, checkpoint, _with_span(metadata), new_versions)

    async def aput(self: Any, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        return await kind.aput(self, config, checkpoint, _with_span(metadata), new_versions)

    def get_tuple(self: Any, config: Any) -> Any:
        found = kind.get_tuple(self, config)
        attempt(_note, found, default=None)
        return found

    async def aget_tuple(self: Any, config: Any) -> Any:
        found = await kind.aget_tuple(self, config)
        attempt(_note, found, default=None)
        return found

    methods = {each.__name__: each for each in (put, aput, get_tuple, aget_tuple)}
    made = type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": kind.__doc__, **methods})
    _made.add(made)
    return made


def _with_span(metadata: Any) -> Any:
    span = attempt(_span_of_graph, default=None)
    if span is None:
        return metadata
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(trace.NonRecordingSpan(span), Context()))
    return {**metadata, **{key: value for key, value in carrier.items() if key == _TRACEPARENT}}


def _span_of_graph() -> SpanContext | None:
    """Return the span of the graph for which a checkpointer is called; LangGraph does so in threads of its own."""
    for run in open_runs_in(otel.get_current()):
        for each in (run, *run.lineage()):
            if each.work is not None and each.owns_span:
                return each.span.get_span_context()
    return None


def _note(found: Any) -> None:
    traceparent = found.metadata.get(_TRACEPARENT) if found is not None else None
    if isinstance(traceparent, str) and found.checkpoint["id"] not in _interrupted:
        context = _propagator.extract({_TRACEPARENT: traceparent}, Context())
        note_interrupted(found.checkpoint["id"], trace.get_current_span(context).get_span_context())
