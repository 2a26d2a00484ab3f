"""Which span was interrupted at a checkpoint, so that the run that resumes there can link to it."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from opentelemetry import context as otel
from opentelemetry.trace import SpanContext

from runspan._guard import attempt
from runspan.arguments import shown
from runspan.runs.current_span import open_runs_in
from runspan.runs.traceparent import format_traceparent, read_traceparent

_T = TypeVar("_T")

_REMEMBERED: Final = 4096
_TRACEPARENT: Final = "traceparent"
_interrupted: Final[OrderedDict[str, SpanContext]] = OrderedDict()


def note_interrupted(checkpoint_id: str, span: SpanContext) -> None:
    """Remember the span of a graph that was interrupted at a checkpoint; the last few thousand are."""
    if span.is_valid:
        _interrupted[checkpoint_id] = span
        if len(_interrupted) > _REMEMBERED:
            _interrupted.popitem(last=False)


def interrupted_at(checkpoint_id: str) -> SpanContext | None:
    """Return the span that was interrupted at a checkpoint, in this process or as its checkpointer has recorded."""
    return _interrupted.get(checkpoint_id)


def link_resumes(checkpointer: _T) -> _T:
    """Have a checkpointer keep which span saved a checkpoint, so that a run resumed in another process links to it.

    Each checkpoint's metadata gets ``traceparent``, the span of the graph that saved it, in the form of W3C Trace
    Context. Within one process, runs that resume are linked without it.

    The object keeps its class. It gets attributes ``put``, ``get_tuple``, their async forms and ``with_allowlist``,
    which call the methods of its class and do this as well. They are pickled and deeply copied with it; a
    ``copy.copy`` has those of the original, so link it again.

    Args:
        checkpointer: any LangGraph checkpoint saver.

    Returns:
        The same object.

    Raises:
        TypeError: if it is no saver of LangGraph's; it names the value.

    Example:
        ``graph = builder.compile(checkpointer=runspan.link_resumes(PostgresSaver(connection)))``
    """
    is_saver = all(callable(getattr(checkpointer, name, None)) for name in ("put", "aput", "get_tuple", "aget_tuple"))
    if not is_saver or not hasattr(checkpointer, "__dict__"):
        raise TypeError(f"checkpointer is {shown(checkpointer)}; it must be one of LangGraph's checkpoint savers.")
    attributes = vars(checkpointer)
    for name, linking in _LINKING.items():
        own = attributes.get(name)
        if isinstance(own, functools.partial) and own.func is linking:  # it, or what it is a copy of, was linked before
            own = own.args[1]
        if own is not None or hasattr(type(checkpointer), name):
            attributes[name] = functools.partial(linking, checkpointer, own)
    return checkpointer


def _method(saver: object, name: str, own: Any) -> Any:
    """Return what was put onto an object under a name, else the method of its class."""
    return own if own is not None else getattr(type(saver), name).__get__(saver)


def _put(  # noqa: PLR0917  the last four are LangGraph's
    saver: object, own: Any, config: Any, checkpoint: Any, metadata: Any, new_versions: Any
) -> Any:
    return _method(saver, "put", own)(config, checkpoint, _with_span(metadata), new_versions)


async def _aput(  # noqa: PLR0917  the same
    saver: object, own: Any, config: Any, checkpoint: Any, metadata: Any, new_versions: Any
) -> Any:
    return await _method(saver, "aput", own)(config, checkpoint, _with_span(metadata), new_versions)


def _get_tuple(saver: object, own: Any, config: Any) -> Any:
    found = _method(saver, "get_tuple", own)(config)
    attempt(_note, found, default=None)
    return found


async def _aget_tuple(saver: object, own: Any, config: Any) -> Any:
    found = await _method(saver, "aget_tuple", own)(config)
    attempt(_note, found, default=None)
    return found


def _with_allowlist(saver: object, own: Any, extra_allowlist: Any) -> Any:
    # LangGraph compiles a graph with what this returns, which may be a copy.
    return link_resumes(_method(saver, "with_allowlist", own)(extra_allowlist))


_LINKING: Final[Mapping[str, Callable[..., Any]]] = {
    "put": _put,
    "aput": _aput,
    "get_tuple": _get_tuple,
    "aget_tuple": _aget_tuple,
    "with_allowlist": _with_allowlist,
}


def _with_span(metadata: Any) -> Any:
    span = attempt(_span_of_graph, default=None)
    if span is None or not span.is_valid:
        return metadata
    return {**metadata, _TRACEPARENT: format_traceparent(span)}


def _span_of_graph() -> SpanContext | None:
    """Return the span of the graph for which a checkpointer is called; LangGraph does so in threads of its own."""
    for run in open_runs_in(otel.get_current()):
        for each in (run, *run.lineage()):
            if each.relations.agent_usage is not None and each.owns_span:
                return each.span.get_span_context()
    return None


def _note(found: Any) -> None:
    traceparent = found.metadata.get(_TRACEPARENT) if found is not None else None
    if isinstance(traceparent, str) and found.checkpoint["id"] not in _interrupted:
        span = read_traceparent(traceparent)
        if span is not None:
            note_interrupted(found.checkpoint["id"], span)
