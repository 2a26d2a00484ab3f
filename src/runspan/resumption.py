"""Which span was interrupted at a checkpoint, so that the run that resumes there can link to it."""

from collections import OrderedDict
from typing import Final

from opentelemetry.trace import SpanContext

_REMEMBERED: Final = 4096
_interrupted: Final[OrderedDict[str, SpanContext]] = OrderedDict()


def note_interrupted(checkpoint_id: str, span: SpanContext) -> None:
    """Remember the span of a graph that was interrupted at a checkpoint; the last few thousand are."""
    if span.is_valid:
        _interrupted[checkpoint_id] = span
        if len(_interrupted) > _REMEMBERED:
            _interrupted.popitem(last=False)


def interrupted_at(checkpoint_id: str) -> SpanContext | None:
    """Return the span that was interrupted at a checkpoint, in this process or as a checkpointer tells."""
    return _interrupted.get(checkpoint_id)
