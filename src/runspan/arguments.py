"""What the errors of wrong arguments say: which argument, which value, and what to give."""

from typing import Final
from uuid import UUID

from runspan._guard import attempt

_LONGEST: Final = 200  # characters


def shown(value: object) -> str:
    """Return the repr of a value for an error: one short line, whatever the value's own code does."""
    words = attempt(repr, value, default=f"<{type(value).__name__}>")
    line = " ".join(words[: 10 * _LONGEST].split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def check_provider(argument: str, value: object, method: str, kind: str) -> None:
    """Raise a ``TypeError`` if a value is neither None nor an object with the method of such a provider."""
    if value is not None and (isinstance(value, type) or not callable(getattr(value, method, None))):
        raise TypeError(f"{argument} is {shown(value)}, not an OpenTelemetry {kind}; pass one, or None")


def checked_run_id(value: object) -> UUID:
    """Return a run id, which may be given as a str.

    Raises:
        ValueError: if it is a str that is no UUID.
        TypeError: if it is of another type.
    """
    if isinstance(value, UUID):
        return value
    remedy = "pass the run_id of a callback or an event, a UUID or its str"
    if not isinstance(value, str):
        raise TypeError(f"run_id is {shown(value)}; {remedy}")
    try:
        return UUID(value)
    except ValueError:
        raise ValueError(f"run_id is {shown(value)}, which is no UUID; {remedy}") from None
