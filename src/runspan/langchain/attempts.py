"""Attempts: which run repeats what another failed at, its number, and the link to that one.

| what repeats | it is known by |
| --- | --- |
| ``with_retry`` | the tag ``retry:attempt:N``, from the second on; its function on the stack |
| ``with_fallbacks`` | the module that started the parent; in ``abatch`` the parent's name |
| ``ModelRetryMiddleware`` | its function on the stack, which counts; else equal messages to the same model |
| ``ModelFallbackMiddleware`` | its function on the stack, which has the model; else equal messages to another one |
| ``ToolRetryMiddleware`` | the same call of a tool; its function on the stack |
| ``RetryPolicy`` of a node or a task | the same task, as LangGraph gives each a checkpoint namespace of its own |

Only what failed within the same parent counts. A first attempt is known from the stack alone. Of middlewares around an
async call only the innermost is there before Python 3.14, since each has a task of its own; so in an agent's node that
calls its model equal messages count, too. Other loops leave no evidence: who asks again may ask something else.
"""

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final, NamedTuple

from opentelemetry.util.types import AnyValue

from runspan import semconv
from runspan.attributes import Attributes
from runspan.langchain.run_kinds import StartEvent
from runspan.payload.metadata import attempt_of
from runspan.runs.execution import OWN_TASK
from runspan.runs.invocation_state import Failed
from runspan.runs.run import Run

_FALLBACKS: Final = "langchain_core.runnables.fallbacks"
_FALLBACKS_NAME: Final = "RunnableWithFallbacks"
_MODEL_FALLBACK: Final = "langchain.agents.middleware.model_fallback"
# Functions of these modules call again what failed. Those that count do so in a local variable, from 0.
_REPEATING: Final = frozenset(
    (
        "langchain_core.runnables.retry",
        "langchain.agents.middleware.model_retry",
        "langchain.agents.middleware.tool_retry",
        _MODEL_FALLBACK,
    )
)
_COUNTER: Final = "attempt"
# Those of model_fallback have the fallback of the moment in a local variable, out of ``self.models``.
_CURRENT_MODEL: Final = "fallback_model"
# LangGraph's, which calls each node of a graph: what repeats the graph is beyond.
_STARTS_TASKS: Final = "langgraph.pregel._retry"
_NOTABLE: Final = _REPEATING | {_STARTS_TASKS}
_MODEL_NODE: Final = "model"
_MOST_FRAMES: Final = 60  # between a run and the function that repeats it
_MOST_REMEMBERED: Final = 1000


class _Position(NamedTuple):
    """Where a run stands among the attempts; 0 where it is none."""

    attempt: int = 0
    fallback: int = 0
    before: Failed | None = None


def number_attempt(run: Run, parent: Run, event: StartEvent) -> None:
    """Number a run that has begun, if it is an attempt, and link it to the one before."""
    if (key := _attempt_key(run, parent, event)) is not None:
        run.relate().attempt_key = key
    repeating, site = _repeating_frames(run, parent, event.starter), parent.site
    tagged = attempt_of(event.tags) if event.tags else 0
    # Most are none: their start takes no more than this.
    if repeating or tagged or parent.relations.failed or site.module == _FALLBACKS or site.style is OWN_TASK:
        _number(run, _position(run, parent, tagged, repeating))


def _number(run: Run, position: _Position) -> None:
    if position.attempt:
        run.span.set_attribute(semconv.ATTEMPT, position.attempt)
    if position.fallback:
        run.relate().fallback = position.fallback
        run.span.set_attribute(semconv.FALLBACK, position.fallback)
    if position.before is not None:
        kind = "fallback_for" if position.fallback > position.before.fallback else "retry_of"
        run.span.add_link(position.before.span, {semconv.LINK_TYPE: kind})


def note_failure(run: Run, attributes: Attributes) -> None:
    """Remember a run that ends without a result, for the attempt that may follow."""
    parent = run.parent
    if parent is None or parent.is_over or not run.owns_span:
        return
    # A node that LangGraph timed out is cancelled, then repeated.
    if semconv.ERROR_TYPE in attributes or attributes.get(semconv.RUN_OUTCOME) == "cancelled":
        own = run.relations
        failed = Failed(run.span.get_span_context(), run.site, own.attempt_key, _model(run), own.fallback)
        parent.relate().add_failed(failed)


def _position(run: Run, parent: Run, tagged: int, repeating: Sequence[tuple[FrameType, str]]) -> _Position:
    failed: Sequence[Failed] = parent.relations.failed or ()
    last = failed[-1] if failed else None
    if _has_fallbacks(parent):
        return _Position(fallback=len(failed), before=last)
    if tagged:
        return _Position(attempt=tagged, before=last)
    attempt, fallback = _position_among(repeating)
    before = [each for each in failed if each.site.is_same_task(run.site)]
    key = run.relations.attempt_key
    if same := [each for each in failed if each.attempt_key == key] if key is not None else []:
        fallback = fallback or _fallback_among(same, _model(run))
        attempt, before = attempt or _attempt_among(same, _model(run), fallback), same
    is_first = attempt <= 1 and not fallback
    return _Position(attempt, fallback, None if is_first or not before else before[-1])


def _attempt_among(failed: Sequence[Failed], model: object, fallback: int) -> int:
    """Return which attempt it is to call a model as a certain fallback: 0 if no such call failed."""
    count = sum((each.model, each.fallback) == (model, fallback) for each in failed)
    return count + 1 if count else 0


def _fallback_among(failed: Sequence[Failed], model: object) -> int:
    """Return which fallback a model is after those that failed: 0 if it is the first of them."""
    models = list(dict.fromkeys(each.model for each in failed))
    return models.index(model) if model in models else len(models)


def _model(run: Run) -> tuple[AnyValue, AnyValue] | None:
    if not run.is_model:
        return None
    return run.start_attributes.get(semconv.REQUEST_MODEL), run.start_attributes.get(semconv.RUN_NAME)


def _has_fallbacks(parent: Run) -> bool:
    if parent.site.module == _FALLBACKS:
        return True
    # ``abatch`` starts its runs in tasks of their own. Only a span that records has a name.
    return parent.site.style is OWN_TASK and getattr(parent.span, "name", None) == _FALLBACKS_NAME


def _attempt_key(run: Run, parent: Run, event: StartEvent) -> object:
    """Return what attempts at the same have in common: a call of a tool, a graph's task, the messages to a model."""
    if run.is_model:
        return event.content if _is_model_node(parent) else None
    if not run.is_chain and (call_id := run.start_attributes.get(semconv.TOOL_CALL_ID)) is not None:
        return call_id
    if (namespace := run.start_attributes.get(semconv.CHECKPOINT_NAMESPACE)) is None:
        return None
    is_node = event.name == run.start_attributes.get(semconv.GRAPH_NODE)
    # What runs within a task has its namespace, too.
    is_task = is_node and namespace != parent.start_attributes.get(semconv.CHECKPOINT_NAMESPACE)
    return namespace if is_task else None


def _is_model_node(run: Run) -> bool:
    """Return whether a run is the node of an agent in which nobody but its middlewares calls models."""
    agent = run.parent
    is_in_agent = agent is not None and agent.start_attributes.get(semconv.OPERATION) == "invoke_agent"
    return is_in_agent and run.start_attributes.get(semconv.GRAPH_NODE) == _MODEL_NODE


def _position_among(repeating: Sequence[tuple[FrameType, str]]) -> tuple[int, int]:
    """Return the attempt and the fallback by who calls the run; 0 where nobody repeats it, and for the first."""
    attempt = fallback = 0
    for frame, module in repeating:
        if module == _MODEL_FALLBACK:
            fallback = fallback or _fallback_in(frame)
        elif not attempt:
            count = frame.f_locals.get(_COUNTER)
            attempt = count + 1 if isinstance(count, int) else 1
    return attempt, fallback


def _fallback_in(frame: FrameType) -> int:
    current = frame.f_locals.get(_CURRENT_MODEL)
    models = getattr(frame.f_locals.get("self"), "models", ())
    return next((number for number, model in enumerate(models, 1) if model is current), 0)


def _repeating_frames(run: Run, parent: Run, starter: FrameType) -> list[tuple[FrameType, str]]:
    """Return the frames that repeat a run, and their modules: of those that called it, within the runs around it."""
    found: list[tuple[FrameType, str]] = []
    if sys.modules.keys().isdisjoint(_REPEATING):
        return found
    frame: FrameType | None = starter
    around, around_module = parent.site.frame_id, parent.site.module
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        module = frame.f_globals.get("__name__")
        if id(frame) == around and module == around_module:
            break
        if module in _NOTABLE:
            if module == _STARTS_TASKS or _starts_around(run, starter, frame):
                break
            found.append((frame, module))
        frame = frame.f_back
    return found


def _starts_around(run: Run, innermost: FrameType, outermost: FrameType) -> bool:
    """Return whether one of some frames started a run around the given one."""
    # LangGraph starts nodes in a function that returns at once; a frame of a middleware may have its identity by now.
    around = {(each.site.frame_id, each.site.module) for each in run.lineage()}
    frame: FrameType | None = innermost
    while frame is not None:
        if (id(frame), frame.f_globals.get("__name__")) in around:
            return True
        frame = frame.f_back if frame is not outermost else None
    return False
