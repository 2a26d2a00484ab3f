"""Where content may go: the choices of ``capture_content``, and OpenTelemetry's own variable, which can forbid it."""

import logging
import os
from functools import cache
from typing import Final, Literal, TypeAlias

_logger = logging.getLogger("runspan")

CaptureContent: TypeAlias = Literal["none", "span", "event", "span_and_event"]
Destination: TypeAlias = Literal["span", "event"]

# The variable of OpenTelemetry's own GenAI packages, and its values beside ours.
STANDARD_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CAPTURE_CONTENT: Final[dict[str, CaptureContent]] = {
    **dict.fromkeys(("span", "true", "1", "span_only"), "span"),
    **dict.fromkeys(("none", "false", "0", "no_content"), "none"),
    **dict.fromkeys(("event", "event_only"), "event"),
    "span_and_event": "span_and_event",
}
DESTINATIONS: Final[dict[CaptureContent, frozenset[Destination]]] = {
    "none": frozenset(),
    "span": frozenset(("span",)),
    "event": frozenset(("event",)),
    "span_and_event": frozenset(("span", "event")),
}
_BY_DESTINATIONS: Final = {destinations: name for name, destinations in DESTINATIONS.items()}


def meant(value: object) -> object:
    """Return which choice of ``capture_content`` a value means; the value itself if it is none."""
    return _CAPTURE_CONTENT.get(value.strip().lower(), value) if isinstance(value, str) else value


def _permitted() -> frozenset[Destination]:
    """Return where OpenTelemetry's variable permits content: only what it forbids counts over everything."""
    choice = _CAPTURE_CONTENT.get(variables().get(STANDARD_VARIABLE, "").strip().lower())
    return DESTINATIONS[choice if choice in {"none", "event"} else "span_and_event"]


@cache
def standard_choice(value: str) -> str:
    """Return what OpenTelemetry's variable asks for; of a value that nobody knows it warns, once."""
    choice = _CAPTURE_CONTENT.get(value.strip().lower())
    if choice is None:
        _logger.warning(
            "%s is %r, which is none of %s; no content is recorded. Set one of them, or RUNSPAN_CAPTURE_CONTENT.",
            STANDARD_VARIABLE,
            value,
            ", ".join(each.upper() for each in _CAPTURE_CONTENT if each not in {"span", "none", "event"}),
        )
    return choice or "none"


def variables() -> dict[str, str]:
    """Return the variables of the environment that are not empty, by their names in capitals: any case counts."""
    return {name.upper(): value for name, value in os.environ.items() if value}


def permitted(choice: CaptureContent) -> CaptureContent:
    """Return what of a choice OpenTelemetry's variable does not forbid."""
    return _BY_DESTINATIONS[DESTINATIONS[choice] & _permitted()]
