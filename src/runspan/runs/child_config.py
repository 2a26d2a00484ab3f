"""What a task or thread that a run began does after the run is over.

LangChain sets its child config in the context of a run's body alone, which no caller sees: where it names a run that is
over, this is a copy of that context.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from langchain_core.runnables.config import var_child_runnable_config
from opentelemetry.trace import Span

from runspan.runs.run import Run
from runspan.runs.scope import NOBODY, Scope


def run_id_of_body() -> UUID | None:
    """Return the id of the run in whose body, or in a copy of whose body's context, the caller executes."""
    return getattr(_callbacks_of_body(), "parent_run_id", None)


def span_of_ended(passed: Iterable[Run], abandoned: Sequence[Run]) -> Span | None:
    """Return what is left of the span of the run whose body this is, if one of the given is, over or abandoned."""
    run_id = run_id_of_body()
    if run_id is None:
        return None
    over = (run for run in passed if run.is_over or run in abandoned)
    return next((run.span for run in over if run.run_id == run_id or run.stood_for(run_id)), None)


def scope_of_body() -> Scope:
    """Return the listeners of the handlers that LangChain calls when something starts in this body."""
    scope = NOBODY
    for handler in getattr(_callbacks_of_body(), "handlers", ()):
        brought = getattr(handler, "scope", None)
        if isinstance(brought, Scope):
            scope = scope.joined(brought)
    return scope


def _callbacks_of_body() -> Any:
    return (var_child_runnable_config.get() or {}).get("callbacks")
