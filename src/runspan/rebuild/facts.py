"""What a span means, whichever dialect its attributes are in."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from runspan._guard import attempt
from runspan.payload import Kind
from runspan.payload.message_types import MessageDict
from runspan.rebuild.dialects.base import AttributeNames
from runspan.rebuild.dialects.conventions import CONVENTIONS
from runspan.rebuild.dialects.legacy import LEGACY
from runspan.rebuild.dialects.openinference import OPENINFERENCE
from runspan.rebuild.dialects.openllmetry import OPENLLMETRY
from runspan.rebuild.dialects.own import OWN
from runspan.rebuild.span_data import Names, SpanData

# In the order in which they count: spans often have attributes of several.
_DIALECTS: Final = (OWN, CONVENTIONS, LEGACY, OPENINFERENCE, OPENLLMETRY)


def _joined(*names: Names) -> Names:
    return tuple(name for each in names for name in each)


NAMES: Final = AttributeNames(*map(_joined, *(dialect.names for dialect in _DIALECTS)))
"""The attributes that may hold a fact, of all dialects."""


def kind_of(span: SpanData) -> Kind | None:
    """Return the kind of run that a span is; None for what has no callbacks, such as HTTP and databases."""
    return next(filter(None, (dialect.kind(span) for dialect in _DIALECTS)), None)


def input_messages(span: SpanData) -> list[MessageDict]:
    """Return the messages to a model, or to an agent."""
    return next(filter(None, _read([dialect.input_messages for dialect in _DIALECTS], span)), [])


def output_messages(span: SpanData) -> list[MessageDict]:
    """Return the messages from it."""
    return next(filter(None, _read([dialect.output_messages for dialect in _DIALECTS], span)), [])


def inputs(kind: Kind, span: SpanData) -> Any:
    """Return what a chain, tool or retriever got; None if the span does not have it."""
    found = _read([dialect.inputs for dialect in _DIALECTS], kind, span)
    return next((each for each in found if each is not None), None)


def outputs(kind: Kind, span: SpanData) -> Any:
    """Return what came of it; None if the span does not have it."""
    found = _read([dialect.outputs for dialect in _DIALECTS], kind, span)
    return next((each for each in found if each is not None), None)


def _read(readers: Iterable[Callable[..., Any]], *args: object) -> Iterator[Any]:
    """Yield what each dialect reads; one that can't must not keep the others from it."""
    return (attempt(read, *args, default=None) for read in readers)
