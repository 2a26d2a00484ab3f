"""The prompt that a model is asked by: a run of LangChain's, attributes of the model's span in the conventions."""

from typing import Any, Final

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import Attributes, PlainAttributes, is_int64
from runspan.langchain.run_kinds import StartEvent
from runspan.payload.stored import stored_items, stored_pairs
from runspan.payload.text import LONGEST_NAME, clean, is_text, name_at, name_in
from runspan.payload.writer import Writer
from runspan.runs.invocation_state import Prompt
from runspan.runs.run import Run

_MOST_VARIABLES: Final = 32
_LONGEST_VARIABLE: Final = 1_000  # characters; a document in a prompt would double what its model weighs
_FALLBACKS: Final = "langchain_core.runnables.fallbacks"
_NO_OWNER: Final = "-"


def note_prompt(run: Run, event: StartEvent) -> None:
    """Remember a prompt that has begun, for the model after it."""
    if run.parent is not None:
        prompt = attempt(_read, event, bool(run.record.captures), default=None)
        if prompt is not None:
            run.parent.relate().prompt = prompt


def prompt_of(run: Run, attributes: Attributes) -> Prompt | None:
    """Return the prompt that a model is asked by, if that ran just before it in the same chain.

    Args:
        run: the run of the model, which has its parent.
        attributes: those that its span starts with.
    """
    around = run.parent
    while around is not None and _is_around_alone(around, attributes.get(semconv.RUN_NAME)):
        around = around.parent
    return around.relations.prompt if around is not None else None


def prompt_variables(prompt: Prompt, write: Writer) -> Attributes:
    """Return what was put into the prompt that a model is asked by."""
    found: PlainAttributes = {}
    for name, text in prompt.variables.items():
        found |= write.text(name, text)
    return found


def _is_around_alone(run: Run, name: object) -> bool:
    """Return whether a run is that of fallbacks, or of retries, which have the name of what they repeat."""
    # Only a span that records has a name.
    return run.site.module == _FALLBACKS or (name is not None and getattr(run.span, "name", None) == name)


def _read(event: StartEvent, captures: bool) -> Prompt:
    return Prompt(_named(event), _variables(event.content) if captures else {})


def _named(event: StartEvent) -> Attributes:
    """Return name and version in LangSmith's hub, else the name that its user gave it."""
    if repository := name_at(event.metadata, "lc_hub_repo"):
        owner = name_at(event.metadata, "lc_hub_owner")
        name = f"{owner}/{repository}" if owner and owner != _NO_OWNER else repository
        version = name_at(event.metadata, "lc_hub_commit_hash")
        return {semconv.PROMPT_NAME: name, **({semconv.PROMPT_VERSION: version} if version else {})}
    name_given = name_in(event.name)
    return {semconv.PROMPT_NAME: name_given} if name_given and name_given != _class_name(event.serialized) else {}


def _class_name(serialized: Any) -> object:
    path = stored_items(serialized.get("id")) if isinstance(serialized, dict) else None
    return path[-1] if path else None


def _variables(inputs: object) -> Attributes:
    """Return the variables that are short texts or numbers; long ones and the like stand in what the model is sent."""
    found: PlainAttributes = {}
    for key, value in stored_pairs(inputs, _MOST_VARIABLES) or ():
        is_number = is_int64(value) or type(value) in (float, bool)
        is_short = is_number or (is_text(value) and len(value) <= _LONGEST_VARIABLE)
        if is_short and is_text(key) and 0 < len(key) <= LONGEST_NAME:
            found[f"{semconv.PROMPT_VARIABLE}{clean(key)}"] = clean(value) if is_text(value) else str(value)
    return found
