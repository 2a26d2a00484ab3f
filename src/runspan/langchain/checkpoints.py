"""Which span was interrupted at a checkpoint, so that the run that resumes there can link to it.

A checkpointer that keeps that also knows which graph it saves where LangGraph has lost the context.
"""

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import SpanContext

from runspan._guard import attempt
from runspan.arguments import shown
from runspan.runs.current_span import open_runs_in
from runspan.runs.execution import present_stack
from runspan.runs.run import Run
from runspan.runs.starting_frame import GRAPH_MODULE
from runspan.runs.traceparent import format_traceparent, read_traceparent

_T = TypeVar("_T")

_REMEMBERED: Final = 4096
_TRACEPARENT: Final = "traceparent"
_interrupted: Final[OrderedDict[str, SpanContext]] = OrderedDict()
# The graphs that are saved, by the id of the checkpointer, the conversation and the place in the graphs around it.
_graphs: Final[WeakValueDictionary[tuple[int, object, object], Run]] = WeakValueDictionary()

_Found = tuple[Run | None, AbstractContextManager[object]]
_NOTHING_FOUND: Final[_Found] = (None, nullcontext())


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

    What the checkpointer does is under its graph, also in the threads and tasks that LangGraph begins without the
    context, such as those in which it saves what parallel nodes wrote.

    The object keeps its class. It gets attributes ``put``, ``put_writes``, ``get_tuple``, their async forms and
    ``with_allowlist``, which call the methods of its class and do this as well. They are pickled and deeply copied with
    it; a ``copy.copy`` has those of the original, so link it again.

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
    graph, within = _found(saver, config)
    with within:
        return _method(saver, "put", own)(config, checkpoint, _with_span(graph, config, metadata), new_versions)


async def _aput(  # noqa: PLR0917  the same
    saver: object, own: Any, config: Any, checkpoint: Any, metadata: Any, new_versions: Any
) -> Any:
    graph, within = _found(saver, config)
    with within:
        return await _method(saver, "aput", own)(config, checkpoint, _with_span(graph, config, metadata), new_versions)


def _put_writes(  # noqa: PLR0917  the same
    saver: object, own: Any, config: Any, writes: Any, task_id: Any, task_path: Any = ""
) -> Any:
    write = _method(saver, "put_writes", own)
    with _found(saver, config)[1]:
        return write(config, writes, task_id, *_path_for(write, task_path))


async def _aput_writes(  # noqa: PLR0917  the same
    saver: object, own: Any, config: Any, writes: Any, task_id: Any, task_path: Any = ""
) -> Any:
    write = _method(saver, "aput_writes", own)
    with _found(saver, config)[1]:
        return await write(config, writes, task_id, *_path_for(write, task_path))


def _path_for(write: Callable[..., Any], task_path: object) -> tuple[object, ...]:
    """Return the path of a task for a method that takes it: those of older savers don't."""
    return (task_path,) if "task_path" in inspect.signature(write).parameters else ()


def _get_tuple(saver: object, own: Any, config: Any) -> Any:
    with _found(saver, config)[1]:
        found = _method(saver, "get_tuple", own)(config)
    attempt(_note, found, default=None)
    return found


async def _aget_tuple(saver: object, own: Any, config: Any) -> Any:
    with _found(saver, config)[1]:
        found = await _method(saver, "aget_tuple", own)(config)
    attempt(_note, found, default=None)
    return found


def _with_allowlist(saver: object, own: Any, extra_allowlist: Any) -> Any:
    # LangGraph compiles a graph with what this returns, which may be a copy.
    return link_resumes(_method(saver, "with_allowlist", own)(extra_allowlist))


_LINKING: Final[Mapping[str, Callable[..., Any]]] = {
    "put": _put,
    "aput": _aput,
    "put_writes": _put_writes,
    "aput_writes": _aput_writes,
    "get_tuple": _get_tuple,
    "aget_tuple": _aget_tuple,
    "with_allowlist": _with_allowlist,
}


def _with_span(graph: Run | None, config: Any, metadata: Any) -> Any:
    span = attempt(_origin, graph, config, metadata, default=None)
    return {**metadata, _TRACEPARENT: format_traceparent(span)} if span is not None and span.is_valid else metadata


def _origin(graph: Run | None, config: Any, metadata: Any) -> SpanContext | None:
    """Return the span that a run resumed at a checkpoint links to: of the graph that saves it.

    One that ``update_state`` saves is resumed from where the one before it was interrupted.
    """
    if metadata.get("source") == "update":
        return interrupted_at(config["configurable"].get("checkpoint_id"))
    return graph.span.get_span_context() if graph is not None else None


def _graph_here() -> Run | None:
    """Return the graph for which a checkpointer is called, as far as the context says."""
    for run in open_runs_in(otel.get_current()):
        for each in (run, *run.lineage()):
            if each.relations.agent_usage is not None and each.owns_span:
                return each
    return None


def _found(saver: object, config: Any) -> _Found:
    """Return the graph for which LangGraph calls a checkpointer, and a block in which it is current."""
    return attempt(_graph_of, saver, config, default=_NOTHING_FOUND)


def _graph_of(saver: object, config: Any) -> _Found:
    configurable = config["configurable"]
    key = (id(saver), configurable["thread_id"], configurable.get("checkpoint_ns", ""))
    if (graph := _graph_here()) is not None:
        _graphs[key] = graph
        return graph, nullcontext()
    # In a thread or task without the context.
    graph = _graphs.get(key)
    if graph is None or graph.is_over or not _is_for(graph):
        return _NOTHING_FOUND
    return graph, trace.use_span(graph.span, record_exception=False, set_status_on_exception=False)


def _is_for(graph: Run) -> bool:
    """Return whether no function of LangGraph's is on the stack, such as the user's update_state, or the graph is."""
    # From Python 3.12 on LangGraph's tasks begin at once, on the stack of the graph.
    return not any(map(_is_of_graph, present_stack())) or graph.site.is_on_present_stack()


def _is_of_graph(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") == GRAPH_MODULE


def _note(found: Any) -> None:
    traceparent = found.metadata.get(_TRACEPARENT) if found is not None else None
    if isinstance(traceparent, str) and found.checkpoint["id"] not in _interrupted:
        span = read_traceparent(traceparent)
        if span is not None:
            note_interrupted(found.checkpoint["id"], span)
