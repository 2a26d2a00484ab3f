"""Which run executes where somebody asks for the current span, if a given one does.

The rules and their reasons are in docs/design/current-span.md.
"""

from collections.abc import Sequence
from uuid import UUID

from runspan.runs.checkpoint_writes import is_checkpoint_write_on_stack
from runspan.runs.child_config import run_id_of_body
from runspan.runs.execution import GENERATOR, ORDINARY, ExecutionSite, present_stack
from runspan.runs.run import Run, RunState
from runspan.runs.run_managers import run_id_given_to, takes_run_manager
from runspan.runs.starting_frame import GRAPH_MODULE


def run_executing(run: Run, state: RunState, passed: Sequence[Run], by_config_alone: bool) -> Run | None:
    """Return the run that executes here if the given open one does: itself, or one within it.

    Args:
        run: the run.
        state: its state.
        passed: the runs that are further in and don't execute here.
        by_config_alone: whether the stack does not count for a generator, as a user's span was opened within it.
    """
    if not run.is_chain:
        found = run if _is_executing_here(run, state) else None
    elif run.site.style is not GENERATOR:
        found = run  # its caller waits for it
    else:
        found = _run_by_config(run, passed)
        if found is None and _is_generator_executing_here(run.site, by_config_alone):
            found = run
    return _detached_on_stack(found) or found if found is not None else None


def is_abandoned_here(finished: Run) -> bool:
    """Return whether a finished run is a model, tool or retriever that started in this task: nobody will report it."""
    return not finished.is_chain and finished.site.is_current_task()


def _is_generator_executing_here(site: ExecutionSite, by_config_alone: bool) -> bool:
    if not by_config_alone and site.is_on_present_stack():
        return True
    # The state of a streamed graph is saved in a thread or task that LangGraph began.
    return site.module == GRAPH_MODULE and not site.is_current_task() and is_checkpoint_write_on_stack()


def _is_executing_here(run: Run, state: RunState) -> bool:
    """Return whether a model, tool or retriever executes here."""
    site = run.site
    if site.style is ORDINARY:
        return state is RunState.EXECUTING
    if site.style is GENERATOR:
        if site.is_on_present_stack():
            return True
        if run.stream is None and not site.is_current_task() and site.is_executing_elsewhere():
            return True
    return any(run_id_given_to(frame) == run.run_id for frame in present_stack())


def _run_by_config(run: Run, passed: Sequence[Run]) -> Run | None:
    """Return the run whose body LangChain says is executing, if it is the given one or within it.

    LangChain executes each body in a context whose child config names the body's run as parent.
    """
    run_id = run_id_of_body()
    if run_id is None:
        return None
    body = run.table.find(run_id) or _run_that_was(run_id, passed)
    if body is None or not body.is_within(run):
        return None
    while body.is_over and body.parent is not None:
        body = body.parent
    return body


def _run_that_was(run_id: UUID, passed: Sequence[Run]) -> Run | None:
    """Find a run that is over by the proxies that it, or a later run of its body, left in this context."""
    for run in passed:
        if run.run_id == run_id:
            return run
        if run.named_parent_id == run_id:
            return run.parent
    return None


def _detached_on_stack(run: Run) -> Run | None:
    """Return the model run that executes further in than the given one, though another context holds its proxy.

    Such is a streaming model that a later step of the chain pulls, one that a gathered task started, and each of
    several that one ``generate`` started together.
    """
    detached_models = run.table.detached_models
    if not detached_models.by_id or detached_models.is_only(run):
        return None
    by_frame, outermost = detached_models.by_frame, run.site.frame_id
    for frame in present_stack():
        if (frame_id := id(frame)) in by_frame or takes_run_manager(frame.f_code):
            found = detached_models.find(frame_id, run_id_given_to(frame))
            if found is not None and not found.site.is_collected() and not run.is_within(found):
                return found
        if frame_id == outermost:
            return None
    return None
