"""The table of names: each has a level, and the source of its definition. ``docs/telemetry.md`` is made from it."""

import enum
from typing import Final, NamedTuple

GENAI: Final = "gen-ai-dev/1.42.0-dev"
GENERAL: Final = "1.44.0"
OPENINFERENCE: Final = "OpenInference 0.1.42"
OWN: Final = "runspan"


class NameKind(enum.StrEnum):
    """What a name is the name of."""

    ATTRIBUTE = enum.auto()
    EVENT = enum.auto()
    METRIC = enum.auto()


class Level(enum.StrEnum):
    """How much the conventions ask for a name."""

    REQUIRED = "required"
    CONDITIONAL = "if it is known"
    RECOMMENDED = "recommended"
    CONTENT = "opt-in: content"
    OURS = "ours"


class Name(NamedTuple):
    """A name, and when it is written."""

    name: str
    kind: NameKind
    level: Level
    source: str
    """The version of the conventions that has it, or ``runspan``."""
    applies_to: str
    """The spans, events or metrics; empty for a metric."""
    description: str


NAMES: Final[list[Name]] = []
"""Those of attributes; of events and metrics once their files are imported."""


def attribute(name: str, level: Level, applies_to: str, description: str, source: str = GENAI) -> str:
    """Enter an attribute into the table; return its name."""
    NAMES.append(Name(name, NameKind.ATTRIBUTE, level, source, applies_to, description))
    return name


def ours(name: str, applies_to: str, description: str) -> str:
    """Enter an attribute that the conventions lack; return its name."""
    return attribute(name, Level.OURS, applies_to, description, OWN)


def event(name: str, level: Level, applies_to: str, description: str, source: str = GENAI) -> str:
    """Enter an event; return its name."""
    NAMES.append(Name(name, NameKind.EVENT, level, source, applies_to, description))
    return name


def metric(name: str, description: str, source: str = GENAI) -> str:
    """Enter a metric; return its name."""
    NAMES.append(Name(name, NameKind.METRIC, Level.RECOMMENDED, source, "", description))
    return name


def description_of(name: str) -> str:
    """Return what a name in the table means."""
    return next(each.description for each in NAMES if each.name == name)
