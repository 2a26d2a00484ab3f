"""Facts of a span, in whichever dialect it says them."""

from typing import Any, Final

from runspan._guard import attempt
from runspan.payload import Kind
from runspan.rebuild.dialects.base import Said, Words
from runspan.rebuild.dialects.conventions import CONVENTIONS
from runspan.rebuild.dialects.legacy import LEGACY
from runspan.rebuild.dialects.openinference import OPENINFERENCE
from runspan.rebuild.dialects.openllmetry import OPENLLMETRY
from runspan.rebuild.dialects.own import OWN
from runspan.rebuild.span_data import Names, SpanData

# The first that says a thing counts; spans often speak several.
_DIALECTS: Final = (OWN, CONVENTIONS, LEGACY, OPENINFERENCE, OPENLLMETRY)


def _joined(*names: Names) -> Names:
    return tuple(name for each in names for name in each)


WORDS: Final = Words(*map(_joined, *(dialect.words for dialect in _DIALECTS)))
"""Where each fact may stand, all dialects together."""


def kind_of(told: SpanData) -> Kind | None:
    """Return the kind of run that a span is; None for what has no callbacks, such as HTTP and databases."""
    return next(filter(None, (dialect.kind(told) for dialect in _DIALECTS)), None)


def asked(told: SpanData) -> list[Said]:
    """Return the messages to a model, or to an agent."""
    return next(filter(None, (attempt(dialect.asked, told, default=None) for dialect in _DIALECTS)), [])


def answered(told: SpanData) -> list[Said]:
    """Return the messages from it."""
    return next(filter(None, (attempt(dialect.answered, told, default=None) for dialect in _DIALECTS)), [])


def given(kind: Kind, told: SpanData) -> Any:
    """Return what a chain, tool or retriever got; None if the span does not say it."""
    found = (attempt(dialect.given, kind, told, default=None) for dialect in _DIALECTS)
    return next((each for each in found if each is not None), None)


def returned(kind: Kind, told: SpanData) -> Any:
    """Return what came of it; None if the span does not say it."""
    found = (attempt(dialect.returned, kind, told, default=None) for dialect in _DIALECTS)
    return next((each for each in found if each is not None), None)
